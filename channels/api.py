"""What an adapter is, what it is handed, and what it hears back. Everything an adapter author imports."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
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


T = TypeVar("T")
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


class Cursor(Protocol):
    """How far a channel that fetches has come. Durable; moved only past what was accepted."""

    async def read(self) -> str | None:
        """None where it never moved. Raises OSError while nobody can tell."""
        ...

    async def move(self, place: str, /) -> None:
        """Raises OSError while it cannot be kept: fetch no further."""
        ...


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
    def scratch(self) -> Path:
        """A directory for what is too large to be held in memory; nothing in it outlives the process."""
        ...

    @property
    def cursor(self) -> Cursor: ...

    @property
    def intake(self) -> Intake[P_contra]: ...

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Entered, after however long a wait, by one process of this machine at a time: for what fetches."""
        ...

    def shared(self, make: Callable[[], T], /) -> T:
        """What `make` made for the first adapter of this gateway that asked with this very `make`."""
        ...

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

    def beside(self, other: "ChannelSettings") -> Sequence[tuple[tuple[str | int, ...], str]] | None:
        """What keeps it from sharing the `listen` of `other`: keys, and words that end before "of inbox …". None: it
        never may."""
        return None

    def sharing(self, others: Sequence["ChannelSettings"]) -> "ChannelSettings":
        """As it is beside inboxes that share its `listen`, itself among them: what they say of it is so for all."""
        return self

    def unusable(self) -> tuple[str, str] | None:
        """A file these settings name that cannot be used: the key, and what is wrong. Reads files, connects nowhere."""
        return None

    def where(self, url: str) -> str:
        """Where senders reach this inbox; `url` is its address under the gateway's own."""
        return url


@dataclass(frozen=True, kw_only=True)
class Raw:
    """The original as it came, for the object store: bytes in hand, or a file on the scratch disk."""

    content: bytes | Path
    media_type: str


ReplyTo = Callable[[Message, str], str | None]
"""From a message and its envelope's id to the address that brings an answer back to it."""


def nowhere(message: Message, id: str) -> None:
    """No such address."""
    return


def unsaid(payload: object, digest: str) -> tuple[Message, ...]:
    """Nothing can be said of what could not be read."""
    return ()


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
    """Whether normalizing this payload could hold up the event loop: then a process does it that can be killed."""
    opened: Callable[[P], AbstractContextManager[P]] = nullcontext
    """The payload with what it keeps on the scratch disk mapped into memory."""
    unread: Callable[[P, str], Sequence[Message]] = unsaid
    """The little that is certain of a payload that cannot be normalized, by the SHA-256 of its original."""
    reply_to: Callable[[S, str], ReplyTo] = lambda settings, inbox: nowhere
    """By the settings and the name of an inbox."""
