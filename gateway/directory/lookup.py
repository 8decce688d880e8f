"""What a directory answers, and the protocols that a directory and each of its sources keep."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from normalizers.message import Address, MessageWarning, Related


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """One customer as a directory knows them."""

    customer_id: str
    tier: str
    organization: str | None = None
    name: str | None = None
    related: tuple[Related, ...] = ()


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question; there always is one."""

    status: Literal["known", "unknown", "ambiguous", "stale", "failed"]
    customer: Customer | None = None
    matched: Address | None = None
    """Which address, or mail domain, named the customer."""
    source: str | None = None
    as_of: datetime | None = None
    """When the source was read."""
    notes: tuple[MessageWarning, ...] = ()
    """What a person who reads the ticket should know about this answer."""


UNKNOWN = Lookup(status="unknown")


class Question(msgspec.Struct, frozen=True):
    """Who is asked for: every address as it stands, and the mail domains that may stand for them."""

    exact: tuple[Address, ...]
    domains: tuple[Address, ...] = ()


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What one source said when it was asked, before the directory made up its mind."""

    source: str
    lookup: Lookup
    places: tuple[str, ...] = ()
    """`file:line` of every row that says so; none of a source behind a network."""


class Directory(Protocol):
    """Answers within its budget and never raises."""

    async def find(self, addresses: Sequence[Address], /) -> Lookup: ...


class Source(Protocol):
    """One source of a directory. Never raises; what it cannot say by `deadline` (of the loop's clock) is `failed`."""

    @property
    def name(self) -> str:
        """How the envelope and the metrics call it."""

    @property
    def down(self) -> bool:
        """Whether it is known to be in trouble: what it says is old, or nothing."""

    async def find(self, question: Question, deadline: float, /) -> Lookup: ...
