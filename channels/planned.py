"""Settings of the channel types that have no adapter yet, so that a file naming them can already be checked."""

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict

from channels.api import ChannelSettings


class WebhookSettings(ChannelSettings):
    """A declarative adapter; its further keys are not fixed yet and not checked."""

    model_config = ConfigDict(extra="allow")

    type: Literal["webhook"]


PLANNED: Mapping[str, type[ChannelSettings]] = {"webhook": WebhookSettings}
"""A name leaves this table on the day its adapter arrives."""
