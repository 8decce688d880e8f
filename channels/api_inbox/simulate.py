"""Sends a sample as another program would: one JSON POST with a bearer token and an Idempotency-Key."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from channels.api import FrontDoor, SimulateError
from channels.api_inbox.settings import ApiSettings
from channels.sample_posts import sample_fields

_DEVELOPMENT_TOKEN = "development-only-portal"
"""Of the client in the shipped configuration; the gateway itself knows tokens by their digests only."""
_PERSON = ("name", "email", "phone")
_FIELDS = ("external_id", "subject", "text", *_PERSON)
_SECONDS = 15


class _Error(msgspec.Struct):
    pointer: str = ""
    detail: str = ""


class _Answer(msgspec.Struct):
    reference: str | None = None
    id: str | None = None
    duplicate: bool = False
    reply_by: str | None = None
    detail: str = "this is not an answer of an API inbox"
    errors: tuple[_Error, ...] = ()


async def simulate(settings: ApiSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """`202 T-7K3M-9QXR …`; `--set` knows text fields, the requester's, `token`, and `key` for the Idempotency-Key."""
    ticket = _ticket(sample, overrides)
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {overrides.get('token', _DEVELOPMENT_TOKEN)}",
        "Idempotency-Key": overrides.get("key") or str(uuid4()),
    }
    url = f"{door.url}/messages"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as client,
            client.post(url, data=msgspec.json.encode(ticket), headers=headers) as response,
        ):
            return _line(response.status, await response.read(), url)
    except aiohttp.ClientConnectorError:
        raise SimulateError(f"nothing listens at {url}: is the gateway running? (make run)") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise SimulateError(f"{url}: {type(error).__name__}: {error}") from None
    except TimeoutError:
        raise SimulateError(f"no answer from {url} within {_SECONDS} seconds") from None


def _ticket(sample: bytes, overrides: Mapping[str, str]) -> dict[str, Any]:
    ticket = sample_fields(sample, overrides, (*_FIELDS, "token"))
    ticket.pop("token", None)
    given = {field: overrides[field] for field in _PERSON if field in overrides}
    if given:
        ticket = {field: value for field, value in ticket.items() if field not in _PERSON} | {"requester": given}
    # The sample's own id would make every send but the first a duplicate.
    if "external_id" in ticket and "external_id" not in overrides:
        ticket["external_id"] = f"{ticket['external_id']}-{uuid4().hex[:12]}"
    return ticket


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
        raise SimulateError(f"404: there is no API inbox at {url}: is the inbox enabled?")
    if status == 401:
        raise SimulateError("401: the inbox has no client with this token; give one with --set token=…")
    reasons = [f"{error.pointer or 'body'}: {error.detail}" for error in answer.errors]
    raise SimulateError(f"{status} {'; '.join(reasons) or answer.detail}")
