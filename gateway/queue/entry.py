"""One stream entry to be, and what became of it."""

from enum import Enum

import msgspec


class QueueUnavailable(Exception):
    """Redis did not say yes. A write may or may not be there: the same write again is safe."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One stream entry to be. `fields` alternates names and values; `keep_ms` is how long the mark stays."""

    stream: str
    mark: bytes
    fingerprint: bytes = b""
    keep_ms: int
    conversation: str
    """Entries of one conversation keep their order."""
    fields: tuple[bytes | str, ...]
    size: int


class Published(Enum):
    """What became of an entry."""

    NEW = 1
    DUPLICATE = 0
    CONFLICT = -1
