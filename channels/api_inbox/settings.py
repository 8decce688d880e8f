"""Settings of an API inbox."""

import hashlib
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from channels.api import ChannelSettings, Traits
from channels.units import Form, Size

_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def _not_of_nothing(digest: str) -> str:
    if digest.lower() == _OF_NOTHING:
        raise ValueError("is the SHA-256 of an empty token")
    return digest.lower()


class ApiClient(BaseModel):
    """A program that may post tickets; its token is known only by its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Form(r"[a-z][a-z0-9_-]{0,39}", "a-z, 0-9, _ and -, at most 40, a letter first")]
    token_sha256: Annotated[
        str,
        Form(r"[0-9a-fA-F]{64}", "the SHA-256 of the token, 64 hexadecimal digits"),
        AfterValidator(_not_of_nothing),
    ]
    scopes: tuple[Literal["write"], ...] = ("write",)
    """Without `write` the token is known and may not post: a client suspended without a new token."""


def _each_once(clients: tuple[ApiClient, ...]) -> tuple[ApiClient, ...]:
    if len({client.name for client in clients}) < len(clients):
        raise ValueError("each name once: a client's ids are told from another's by it")
    if len({client.token_sha256 for client in clients}) < len(clients):
        raise ValueError("each token once")
    return clients


class ApiSettings(ChannelSettings):
    """Tickets posted by other programs."""

    traits: ClassVar[Traits] = Traits(media=("api",), subject=True)

    type: Literal["api"]
    clients: Annotated[tuple[ApiClient, ...], Field(min_length=1), AfterValidator(_each_once)]
    max_body: Annotated[Size, Field(ge=1024)] = 2**20
    """Largest POST, in bytes, its attachments included."""

    def where(self, url: str) -> str:
        """The address of the one route."""
        return f"{url}/messages"
