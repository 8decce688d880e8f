"""Sends a sample as a program would: one JSON POST with an Idempotency-Key."""

from collections.abc import Mapping

from channels.api import FrontDoor
from channels.sample_posts import post_sample, sample_fields
from channels.web_form.settings import WebFormSettings

_FIELDS = ("name", "email", "subject", "message", "identity_token")


async def simulate(settings: WebFormSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """`202 T-7K3M-9QXR …`; `--set` knows the form's fields, and `key` for the Idempotency-Key."""
    fields = sample_fields(sample, overrides, _FIELDS)
    return await post_sample(door.url, fields, overrides, form="web form")
