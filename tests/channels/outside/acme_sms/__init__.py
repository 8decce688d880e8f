"""An adapter of somebody else: found by its entry point, held to the same promises."""

from channels.api import Channel

from .adapter import AcmeAdapter, AcmeSettings, simulate
from .normalizer import TextPayload, normalize

CHANNEL = Channel(
    name="acme_sms",
    settings=AcmeSettings,
    payload=TextPayload,
    normalize=normalize,
    adapter=AcmeAdapter,
    simulate=simulate,
)
