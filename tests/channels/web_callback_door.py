"""A callback page over real HTTP, at a fixed time."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

from channels.web_callback import CHANNEL
from channels.web_callback.adapter import WebCallbackAdapter
from channels.web_callback.settings import WebCallbackSettings
from tests.channels.form_door import FormDoor, ReadingHost, open_adapter

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
"""Friday noon in Seoul."""
GOOD = {"phone": "010-1234-5678", "topic": "Charged twice.", "timezone": "Asia/Seoul"}


def open_form(**settings: Any) -> AbstractAsyncContextManager[FormDoor]:
    """With its settings, before a fresh gateway."""
    host = ReadingHost(CHANNEL.normalize)
    settings = {"type": "web_callback", **settings}
    return open_adapter(host, WebCallbackAdapter(WebCallbackSettings(**settings), host, clock=lambda: NOW))
