"""What an operator can set for a web form."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from channels.api import ChannelSettings, Traits
from channels.identity_keys import IdentityKeys
from channels.units import Size

Language = Literal["ko", "en"]


def _each_once(languages: tuple[Language, ...]) -> tuple[Language, ...]:
    if len(set(languages)) < len(languages):
        raise ValueError("each language once")
    return languages


class WebFormSettings(ChannelSettings):
    """One contact form."""

    traits: ClassVar[Traits] = Traits(media=("form",), subject=True)

    type: Literal["web_form"]
    languages: Annotated[tuple[Language, ...], Field(min_length=1), AfterValidator(_each_once)] = (
        "ko",
        "en",
    )
    """Languages of the page; the first where a browser asks for none of them."""
    max_body: Annotated[Size, Field(ge=1024)] = 1024 * 1024
    """Largest body of a POST; what is larger gets 413."""
    identity: IdentityKeys | None = None
    """Whose signature proves who asks."""
