"""Settings of a callback inbox."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from channels.api import ChannelSettings, Traits
from channels.identity_keys import IdentityKeys
from channels.units import Size
from normalizers.web_callback import find_zone


def _known_zone(name: str) -> str:
    if find_zone(name) is None:
        raise ValueError("must be the IANA name of a time zone, like Asia/Seoul")
    return name


class WebCallbackSettings(ChannelSettings):
    """A page that asks to be phoned back."""

    traits: ClassVar[Traits] = Traits(media=("form",))

    type: Literal["web_callback"]
    languages: Annotated[tuple[Literal["ko", "en"], ...], Field(min_length=1)] = ("ko", "en")
    """Offered; the first is shown where a browser asks for none of them."""
    default_region: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "KR"
    """The country of a number typed without one."""
    default_timezone: Annotated[str, AfterValidator(_known_zone)] = "Asia/Seoul"
    """Chosen on the page where a browser does not tell its own, and the promise is told in it to who names none."""
    max_body: Annotated[Size, Field(ge=1024)] = 64 * 2**10
    """Largest POST, in bytes."""
    identity: IdentityKeys | None = None
    """Whose signature proves who asks."""
