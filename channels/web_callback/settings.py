"""Settings of a callback inbox."""

from typing import Annotated, Literal

from pydantic import Field

from channels.api import ChannelSettings
from channels.units import Size


class WebCallbackSettings(ChannelSettings):
    """A page that asks to be phoned back."""

    type: Literal["web_callback"]
    languages: Annotated[tuple[Literal["ko", "en"], ...], Field(min_length=1)] = ("ko", "en")
    """Offered; the first is shown where a browser asks for none of them."""
    default_region: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "KR"
    """The country of a number typed without one."""
    max_body: Annotated[Size, Field(ge=1024)] = 64 * 2**10
    """Largest POST, in bytes."""
