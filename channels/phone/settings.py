"""Settings of a phone inbox."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from channels.api import ChannelSettings, Traits
from channels.units import BaseUrl, Form, Name, Size
from channels.verify import Secret, Secrets

Language = Literal["ko", "en"]
Words = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class PhoneSettings(ChannelSettings):
    """Voice, SMS, MMS and WhatsApp of Twilio."""

    traits: ClassVar[Traits] = Traits(media=("voice", "sms", "mms", "whatsapp"), subject=True)

    type: Literal["phone"]
    account_sid: Annotated[str, Form(r"AC[0-9A-Za-z]+", "the account SID, which begins with AC")]
    auth_tokens: Secrets
    """Newest first."""
    shared_keys: Mapping[Name, Secret] = {}
    """Keys of the SHA-256 signatures, by their id; where a request names one, only that one counts."""
    api_base: BaseUrl = "https://api.twilio.com"
    default_region: Annotated[str, Form(r"[A-Z]{2}", "a country such as KR")] = "KR"
    languages: Annotated[tuple[Language, ...], Field(min_length=1)] = ("ko", "en")
    """Spoken; the first is offered first."""
    greetings: Mapping[Language, Words] = {}
    """What a caller hears first, by language; ours where there is none."""
    prompts: Mapping[Language, Words] = {}
    """What a caller hears before the tone, by language."""
    longest_recording: Annotated[int, Field(ge=5, le=3600)] = 120
    """Of a voicemail, in seconds; Twilio transcribes none that is longer than 120."""
    media_hosts: tuple[Name, ...] = ("api.twilio.com",)
    """The only hosts our credentials may ever go to; not in use yet."""
    max_body: Annotated[Size, Field(ge=1024)] = 256 * 2**10
    """Largest request, in bytes."""

    def where(self, url: str) -> str:
        """What is entered at Twilio: one address for calls, one for messages."""
        return f"{url}/voice and {url}/messages"
