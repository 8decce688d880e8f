"""Settings of an API inbox."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from channels.api import ChannelSettings
from channels.units import Form, Size


class ApiClient(BaseModel):
    """A program that may post tickets; its token is known only by its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Form(r"[a-z][a-z0-9_-]{0,39}", "a-z, 0-9, _ and -, at most 40, a letter first")]
    token_sha256: Annotated[str, Form(r"[0-9a-fA-F]{64}", "the SHA-256 of the token, 64 hexadecimal digits")]
    scopes: Annotated[tuple[Literal["write"], ...], Field(min_length=1)] = ("write",)


class ApiSettings(ChannelSettings):
    """Tickets posted by other programs."""

    type: Literal["api"]
    clients: Annotated[tuple[ApiClient, ...], Field(min_length=1)]
    max_body: Annotated[Size, Field(ge=1024)] = 2**20
    """Largest POST, in bytes."""
