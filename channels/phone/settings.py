"""Settings of a phone inbox."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from channels.api import ChannelSettings
from channels.units import BaseUrl, Form, Name, Size
from channels.verify import Secret, Secrets


class PhoneSettings(ChannelSettings):
    """Voice, SMS, MMS and WhatsApp of Twilio."""

    type: Literal["phone"]
    account_sid: Annotated[str, Form(r"AC[0-9A-Za-z]+", "the account SID, which begins with AC")]
    auth_tokens: Secrets
    """Newest first."""
    shared_keys: Mapping[Name, Secret] = {}
    """Keys of the SHA-256 signatures, by their id; where a request names one, only that one counts."""
    api_base: BaseUrl = "https://api.twilio.com"
    default_region: Annotated[str, Form(r"[A-Z]{2}", "a country such as KR")] = "KR"
    languages: Annotated[tuple[Literal["ko", "en"], ...], Field(min_length=1)] = ("ko", "en")
    """Spoken; the first is offered first."""
    media_hosts: tuple[Name, ...] = ("api.twilio.com",)
    """The only hosts our credentials may ever go to; not in use yet."""
    max_body: Annotated[Size, Field(ge=1024)] = 256 * 2**10
    """Largest request, in bytes."""
