"""Sends a sample as a program would: one JSON POST with an Idempotency-Key."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from channels.api import FrontDoor, SimulateError
from channels.web_form.settings import WebFormSettings

_FIELDS = ("name", "email", "subject", "message")
_SECONDS = 15


class _Error(msgspec.Struct):
    pointer: str = ""
    detail: str = ""


class _Answer(msgspec.Struct):
    reference: str | None = None
    id: str | None = None
    duplicate: bool = False
    reply_by: str | None = None
    detail: str = "this is not an answer of a web form"
    errors: tuple[_Error, ...] = ()


async def simulate(settings: WebFormSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """`202 T-7K3M-9QXR …`; `--set` knows the form's fields, and `key` for the Idempotency-Key."""
    unknown = sorted(set(overrides) - {*_FIELDS, "key"})
    if unknown:
        raise SimulateError(f"--set knows {', '.join(_FIELDS)} and key, not {', '.join(unknown)}")
    fields = _fields(sample) | {field: overrides[field] for field in _FIELDS if field in overrides}
    headers = {"Content-Type": "application/json", "Idempotency-Key": overrides.get("key") or str(uuid4())}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as client,
            client.post(door.url, data=msgspec.json.encode(fields), headers=headers) as response,
        ):
            status, body = response.status, await response.read()
    except aiohttp.ClientConnectorError:
        raise SimulateError(f"nothing listens at {door.url}: is the gateway running? (make run)") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise SimulateError(f"{door.url}: {type(error).__name__}: {error}") from None
    except TimeoutError:
        raise SimulateError(f"no answer from {door.url} within {_SECONDS} seconds") from None
    return _line(status, body, door.url)


def _fields(sample: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(sample, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SimulateError(f"the sample is not a JSON object: {error}") from None


def _line(status: int, body: bytes, url: str) -> str:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = _Answer()
    if status == 202:
        again = " (already there)" if answer.duplicate else ""
        reply_by = f" reply by {answer.reply_by}" if answer.reply_by else ""
        return f"202 {answer.reference}{again}{reply_by} id {answer.id}"
    if status == 404:
        raise SimulateError(f"404: there is no web form at {url}: is the inbox enabled?")
    reasons = [f"{error.pointer or 'body'}: {error.detail}" for error in answer.errors]
    raise SimulateError(f"{status} {'; '.join(reasons) or answer.detail}")
