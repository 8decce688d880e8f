"""Chat: Slack, by its Events API."""

from channels.api import Channel
from channels.chat.adapter import ChatAdapter
from channels.chat.settings import ChatSettings
from channels.chat.simulate import simulate
from normalizers.chat import SlackPayload, heavy, normalize

CHANNEL = Channel(
    name="chat",
    settings=ChatSettings,
    payload=SlackPayload,
    normalize=normalize,
    adapter=ChatAdapter,
    simulate=simulate,
    heavy=heavy,
)
