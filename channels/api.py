"""What an adapter is, what it is handed, and what it hears back. Everything an adapter author imports."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Generic, Protocol, TypeVar

import msgspec
from aiohttp.web import RouteDef
from pydantic import BaseModel, ConfigDict

from channels.units import Form
from normalizers.message import Message, Problem


class Outcome(StrEnum):
    """What became of a payload. Anything but DEFERRED means it is durably kept, or was never ours to keep."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEFERRED = "deferred"


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One envelope the payload became."""

    id: str
    reference: str
    """What the customer is told: `T-7K3M-9QXR`."""
    duplicate: bool = False
    reply_by: datetime | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter hears back for a payload."""

    outcome: Outcome
    references: tuple[Reference, ...] = ()
    """One per message in the payload's order, or the dead letter's; empty where there was nothing to ticket."""
    problems: tuple[Problem, ...] = ()
    """Why it was REJECTED, in words its sender understands."""


P = TypeVar("P")
P_contra = TypeVar("P_contra", contravariant=True)
S = TypeVar("S", bound="ChannelSettings")
S_contra = TypeVar("S_contra", bound="ChannelSettings", contravariant=True)


class Refusal(StrEnum):
    """Why an adapter turned a sender away before anything became a message."""

    FORGED = "forged"
    """Bad signature, stale time stamp, a recipient or account that is not ours."""
    OVERSIZED = "oversized"
    TOO_MANY = "too_many"
    """Too many connections, commands or recipients at once."""
    LOOP = "loop"
    """It has been here, or nearly everywhere, before."""
    UNSUPPORTED = "unsupported"
    """Well-formed and genuine, and nothing to ticket: an own echo, a typing event, an unknown media type."""


class Intake(Protocol[P_contra]):
    """Takes a verified payload; never raises (but when cancelled), and what it began it finishes."""

    async def __call__(self, payload: P_contra, /) -> Receipt: ...


class Host(Protocol[P_contra]):
    """All an adapter may use of the gateway."""

    @property
    def inbox(self) -> str:
        """The configured name: the path segment and the envelope's `inbox`."""
        ...

    @property
    def public_url(self) -> str:
        """The gateway's address as the world sees it, without a trailing slash."""
        ...

    @property
    def shared_port(self) -> bool:
        """Whether a listener of the adapter's own has to let other processes of ours listen on its address."""
        ...

    @property
    def intake(self) -> Intake[P_contra]: ...

    def refused(self, why: Refusal, detail: str) -> None:
        """Log and count a sender turned away; `detail` is a fixed phrase, never a value of theirs."""
        ...


class ChannelAdapter(Protocol):
    """One configured inbox. Both methods are called once, `lifespan` entered before the first request."""

    def routes(self) -> Sequence[RouteDef]:
        """HTTP routes relative to `/channels/<inbox>` (`""` is that path itself)."""
        ...

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Listening while entered; on exit it takes nothing new and has finished what is in hand."""
        ...


@dataclass(frozen=True, kw_only=True)
class Traits:
    """All that messages of a channel can be: a rule that asks for anything else is a mistake."""

    media: tuple[str, ...]
    flags: tuple[str, ...] = ()
    """Which its normalizer ever raises."""
    subject: bool = False


class ChannelSettings(BaseModel):
    """What every inbox has; a channel's own settings extend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    traits: ClassVar[Traits | None] = None
    """Of a channel that does not say, no rule is called a mistake."""

    type: str
    brand: Annotated[str, Form(r"[a-z0-9_]{1,40}", "a-z, 0-9 and _, at most 40")] | None = None
    """Becomes the tag `brand_*`."""
    enabled: bool = True

    def where(self, url: str) -> str:
        """Where senders reach this inbox; `url` is its address under the gateway's own."""
        return url


@dataclass(frozen=True, kw_only=True)
class Raw:
    """The original as it came, for the object store."""

    content: bytes
    media_type: str


@dataclass(frozen=True, kw_only=True)
class FrontDoor:
    """Where and as whom `simulate` knocks."""

    inbox: str
    url: str
    """`http://127.0.0.1:8080/channels/<inbox>`"""
    public_url: str
    """The gateway's address as the world sees it: what vendors sign."""


class Simulate(Protocol[S_contra]):
    """Sends one sample through the front door as a real client would; returns the gateway's answer in a line.

    `sample` is the file's bytes; `overrides` are `--set` pairs. Raises `SimulateError` in words.
    """

    async def __call__(
        self, settings: S_contra, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /
    ) -> str: ...


class SimulateError(Exception):
    """The sample could not be sent or was refused; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Channel(Generic[S, P]):
    """The manifest of a channel: everything the gateway needs to run it."""

    name: str
    settings: type[S]
    payload: type[P]
    """A msgspec Struct, so that a dead letter can keep it whole and replay it."""
    normalize: Callable[[P], Sequence[Message]]
    adapter: Callable[[S, Host[P]], ChannelAdapter]
    simulate: Simulate[S]
    raw: Callable[[P], Raw | None] = lambda payload: None
    heavy: Callable[[P], bool] = lambda payload: False
    """Whether normalizing this payload would hold up the event loop for more than a few milliseconds."""
