"""Tickets posted by other programs: bearer tokens, JSON, keys that make a retry safe."""

from channels.api import Channel
from channels.api_inbox.adapter import ApiAdapter
from channels.api_inbox.settings import ApiSettings
from channels.api_inbox.simulate import simulate
from normalizers.api_inbox import ApiPayload, normalize

_HEAVY = 16 * 1024


def _heavy(payload: ApiPayload) -> bool:
    # HTML to text takes half a millisecond a KiB; how much of the body is HTML is known only once it is read.
    return len(payload.body) > _HEAVY


CHANNEL = Channel(
    name="api",
    settings=ApiSettings,
    payload=ApiPayload,
    normalize=normalize,
    adapter=ApiAdapter,
    simulate=simulate,
    heavy=_heavy,
)
