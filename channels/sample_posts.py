"""How `simulate` knocks over HTTP: one POST, and what went wrong in words; to a form, with an Idempotency-Key."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from channels.api import SimulateError

_SECONDS = 15


class _Error(msgspec.Struct):
    pointer: str = ""
    detail: str = ""


class _Answer(msgspec.Struct):
    reference: str | None = None
    id: str | None = None
    duplicate: bool = False
    reply_by: str | None = None
    detail: str = "this is not an answer of a form"
    errors: tuple[_Error, ...] = ()


def sample_fields(sample: bytes, overrides: Mapping[str, str], known: Sequence[str]) -> dict[str, Any]:
    """The sample's fields with those of `--set` in their place; `--set` knows `known` and `key`."""
    unknown = sorted(set(overrides) - {*known, "key"})
    if unknown:
        raise SimulateError(f"--set knows {', '.join(known)} and key, not {', '.join(unknown)}")
    try:
        fields = msgspec.json.decode(sample, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SimulateError(f"the sample is not a JSON object: {error}") from None
    return fields | {field: overrides[field] for field in known if field in overrides}


async def send(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """POST once and read the answer's status and body. Raises SimulateError in words where there is none."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as client,
            client.post(url, data=body, headers=headers) as response,
        ):
            return response.status, await response.read()
    except aiohttp.ClientConnectorError:
        raise SimulateError(f"nothing listens at {url}: is the gateway running? (make run)") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise SimulateError(f"{url}: {type(error).__name__}: {error}") from None
    except TimeoutError:
        raise SimulateError(f"no answer from {url} within {_SECONDS} seconds") from None


async def post_sample(
    url: str,
    fields: Mapping[str, Any],
    overrides: Mapping[str, str],
    *,
    form: str,
    headers: Mapping[str, str] | None = None,
) -> str:
    """`202 T-7K3M-9QXR …`; the key is that of `--set`, or a fresh one. `form` is what should be at `url`."""
    key = overrides.get("key") or str(uuid4())
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, **(headers or {})}
    status, body = await send(url, msgspec.json.encode(fields), headers)
    if status == 404:
        raise SimulateError(f"404: there is no {form} at {url}: is the inbox enabled?")
    return _line(status, body)


def _line(status: int, body: bytes) -> str:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = _Answer()
    if status == 202:
        again = " (already there)" if answer.duplicate else ""
        reply_by = f" reply by {answer.reply_by}" if answer.reply_by else ""
        return f"202 {answer.reference}{again}{reply_by} id {answer.id}"
    reasons = [f"{error.pointer or 'body'}: {error.detail}" for error in answer.errors]
    raise SimulateError(f"{status} {'; '.join(reasons) or answer.detail}")
