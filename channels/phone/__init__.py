"""Phone: a voice line that takes messages, SMS, MMS and WhatsApp, by Twilio."""

from channels.api import Channel
from channels.phone.adapter import PhoneAdapter
from channels.phone.settings import PhoneSettings
from channels.phone.simulate import simulate
from normalizers.phone import PhonePayload, heavy, normalize

CHANNEL = Channel(
    name="phone",
    settings=PhoneSettings,
    payload=PhonePayload,
    normalize=normalize,
    adapter=PhoneAdapter,
    simulate=simulate,
    heavy=heavy,
)
