"""What a directory answers, and the protocol every source keeps."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from normalizers.message import Address, Related


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


UNKNOWN = Lookup(status="unknown")


class Directory(Protocol):
    """Answers within its budget and never raises."""

    async def find(self, addresses: Sequence[Address], /) -> Lookup: ...
