"""Settings of a Slack inbox."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from channels.api import ChannelSettings, Traits
from channels.units import BaseUrl, Name, Size
from channels.verify import OptionalSecret, Secrets


class ChatSettings(ChannelSettings):
    """Slack, by the Events API."""

    traits: ClassVar[Traits] = Traits(media=("slack",))

    type: Literal["chat"]
    signing_secrets: Secrets
    """Newest first."""
    bot_token: OptionalSecret = None
    app_token: OptionalSecret = None
    """For Socket Mode; not in use yet."""
    api_base: BaseUrl = "https://slack.com/api/"
    staff_workspaces: tuple[Name, ...] = ()
    """Team ids whose members are staff, not customers; not in use yet."""
    max_body: Annotated[Size, Field(ge=1024)] = 2**20
    """Largest event, in bytes."""

    def where(self, url: str) -> str:
        """What is entered at the vendor."""
        return f"{url}/events"
