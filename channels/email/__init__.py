"""Mail, over SMTP."""

from channels.api import Channel, Raw
from channels.email.adapter import EmailAdapter
from channels.email.settings import EmailSettings
from channels.email.simulate import simulate
from normalizers.email import MailPayload, heavy, normalize

CHANNEL = Channel(
    name="email",
    settings=EmailSettings,
    payload=MailPayload,
    normalize=normalize,
    adapter=EmailAdapter,
    simulate=simulate,
    raw=lambda payload: Raw(content=payload.content, media_type="message/rfc822"),
    heavy=heavy,
)
