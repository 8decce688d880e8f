"""Mail, whichever door it comes through."""

from channels.api import Channel
from channels.email.adapter import EmailAdapter
from channels.email.originals import raw, unread
from channels.email.reply_tokens import reply_to
from channels.email.settings import EmailSettings
from channels.email.simulate import simulate
from channels.mapped import mapped
from normalizers.email import MailPayload, heavy, normalize

CHANNEL = Channel(
    name="email",
    settings=EmailSettings,
    payload=MailPayload,
    normalize=normalize,
    adapter=EmailAdapter,
    simulate=simulate,
    raw=raw,
    heavy=heavy,
    opened=mapped,
    unread=unread,
    reply_to=lambda settings, inbox: reply_to(settings.reply_tokens, settings.recipients, inbox),
)
