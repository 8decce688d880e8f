"""A contact form over real HTTP."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from channels.web_form import CHANNEL
from channels.web_form.settings import WebFormSettings
from tests.channels.form_door import FormDoor, ReadingHost, open_adapter

GOOD = {"email": "jane@initech.example", "message": "Charged twice."}


def open_form(**settings: Any) -> AbstractAsyncContextManager[FormDoor]:
    """With its settings, before a fresh gateway."""
    host = ReadingHost(CHANNEL.normalize)
    return open_adapter(host, CHANNEL.adapter(WebFormSettings(type="web_form", **settings), host))
