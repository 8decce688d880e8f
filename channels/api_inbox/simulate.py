"""Sends a sample as another program would: one JSON POST with a bearer token and an Idempotency-Key."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from channels.api import FrontDoor, SimulateError
from channels.api_inbox.settings import ApiSettings
from channels.sample_posts import post_sample, sample_fields

_DEVELOPMENT_TOKEN = "development-only-portal"
"""Of the client in the shipped configuration; the gateway itself knows tokens by their digests only."""
_PERSON = ("name", "email", "phone")
_FIELDS = ("external_id", "subject", "text", *_PERSON)


async def simulate(settings: ApiSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """`202 T-7K3M-9QXR …`; `--set` knows text fields, the requester's, `token`, and `key` for the Idempotency-Key."""
    ticket = _ticket(sample, overrides)
    token = overrides.get("token", _DEVELOPMENT_TOKEN)
    try:
        return await post_sample(
            f"{door.url}/messages", ticket, overrides, form="API inbox", headers={"Authorization": f"Bearer {token}"}
        )
    except SimulateError as error:
        if str(error).startswith("401"):
            raise SimulateError("401: the inbox has no client with this token; give one with --set token=…") from None
        raise


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
