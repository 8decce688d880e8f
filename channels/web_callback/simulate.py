"""Sends a sample as a program would: one JSON POST with an Idempotency-Key, its window always ahead."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from channels.api import FrontDoor, SimulateError
from channels.sample_posts import post_sample, sample_fields
from channels.web_callback.settings import WebCallbackSettings
from normalizers.web_callback import LIMITS, find_zone

_FIELDS = tuple(field for field in LIMITS if field != "nonce")
_AHEAD = re.compile(r"\+(\d{1,2})d (\d\d:\d\d)", re.ASCII)


async def simulate(
    settings: WebCallbackSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /
) -> str:
    """`202 T-7K3M-9QXR …`; `--set` knows the form's fields, and `key` for the Idempotency-Key.

    A time of the window may be written `+2d 14:00`: at two in the afternoon of the day after tomorrow.
    """
    fields = sample_fields(sample, overrides, _FIELDS)
    zone = find_zone(str(fields.get("timezone"))) or find_zone(settings.default_timezone)
    dated = {
        name: _dated(fields[name], datetime.now(zone)) for name in ("window_start", "window_end") if name in fields
    }
    return await post_sample(door.url, fields | dated, overrides, form="callback page")


def _dated(value: Any, now: datetime) -> Any:
    if not isinstance(value, str) or (ahead := _AHEAD.fullmatch(value)) is None:
        return value
    try:
        return datetime.fromisoformat(f"{(now + timedelta(days=int(ahead[1]))).date()}T{ahead[2]}").isoformat()
    except ValueError:
        raise SimulateError(f"{ahead[2]} is not a time of day") from None
