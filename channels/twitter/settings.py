"""Settings of an X inbox."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from channels.api import ChannelSettings, Traits
from channels.units import BaseUrl, Duration, Name, Size
from channels.verify import OptionalSecret, Secrets


class TwitterSettings(ChannelSettings):
    """Posts and direct messages of X, pushed by webhook."""

    traits: ClassVar[Traits] = Traits(media=("post", "dm"))

    type: Literal["twitter"]
    consumer_secrets: Secrets
    """Newest first."""
    bearer_token: OptionalSecret = None
    user_token: OptionalSecret = None
    own_user_ids: tuple[Name, ...] = ()
    """Our accounts: what they write is never a ticket."""
    webhook_id: str | None = None
    api_base: BaseUrl = "https://api.x.com"
    mention_poll: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=90)
    """Not in use yet."""
    dm_poll: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=5)
    """Not in use yet."""
    max_body: Annotated[Size, Field(ge=1024)] = 2**20
    """Largest event, in bytes."""

    def where(self, url: str) -> str:
        """What is entered at the vendor."""
        return f"{url}/webhook"
