"""Posts and direct messages of X, by webhook."""

from channels.api import Channel
from channels.twitter.adapter import TwitterAdapter
from channels.twitter.settings import TwitterSettings
from channels.twitter.simulate import simulate
from normalizers.twitter import TwitterPayload, heavy, normalize

CHANNEL = Channel(
    name="twitter",
    settings=TwitterSettings,
    payload=TwitterPayload,
    normalize=normalize,
    adapter=TwitterAdapter,
    simulate=simulate,
    heavy=heavy,
)
