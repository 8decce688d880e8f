"""Callback requests: a page that asks to be phoned, JSON for programs."""

from channels.api import Channel
from channels.web_callback.adapter import WebCallbackAdapter
from channels.web_callback.settings import WebCallbackSettings
from channels.web_callback.simulate import simulate
from normalizers.web_callback import CallbackPayload, normalize

_HEAVY = 16 * 1024

CHANNEL = Channel(
    name="web_callback",
    settings=WebCallbackSettings,
    payload=CallbackPayload,
    normalize=normalize,
    adapter=WebCallbackAdapter,
    simulate=simulate,
    # Percent-decoding is pure Python: 3 ms for so much.
    heavy=lambda payload: len(payload.body) > _HEAVY,
)
