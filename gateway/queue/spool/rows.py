"""The rows of a spool file: how one stands there, and whether it is sound."""

import sqlite3
from typing import Any, NamedTuple

import msgspec

from gateway.queue.entry import Entry, QueueUnavailable

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries(
    seq INTEGER PRIMARY KEY, partition INTEGER NOT NULL, conversation INTEGER NOT NULL, mark BLOB NOT NULL,
    fingerprint BLOB NOT NULL, spooled_at REAL NOT NULL, sent INTEGER NOT NULL, size INTEGER NOT NULL,
    entry BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_partition ON entries(partition, seq);
"""
COLUMNS = "partition, conversation, mark, fingerprint, spooled_at, sent, size, entry"
Row = tuple[Any, ...]
"""`seq` and COLUMNS, as they stand."""
_KINDS = (int, int, int, bytes, bytes, float, int, int, bytes)
_DAMAGE = (1, 11, 24, 26)
"""SQLITE_ERROR (a schema that is no more ours), CORRUPT, FORMAT and NOTADB: the file. All others are the disk."""
_decode_any = msgspec.msgpack.Decoder().decode


class SpoolUnavailable(QueueUnavailable):
    """The spool did not take it."""


class Damaged(ValueError):
    """A row that is none of ours."""


class Spooled(NamedTuple):
    """One entry that waits; `size` in bytes of its content."""

    seq: int
    partition: int
    conversation: int
    mark: bytes
    size: int
    spooled_at: float
    sent: bool
    """Whether a write of it may be there already."""
    entry: Entry | None
    """None for what cannot be read any more."""
    content: bytes


def is_damage(error: Exception) -> bool:
    """Whether the file is at fault, and not the disk, or somebody in the way."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 1) & 0xFF in _DAMAGE
    return isinstance(error, ValueError)


def is_sound(row: Row) -> bool:
    """Whether every column is what it should be."""
    return all(isinstance(value, kind) for value, kind in zip(row, _KINDS, strict=True))


def read(columns: Row) -> Spooled:
    if not is_sound(columns):
        raise Damaged
    seq, partition, conversation, mark, _, spooled_at, sent, size, content = columns
    return Spooled(seq, partition, conversation, mark, size, spooled_at, bool(sent), _decode(content), content)


_TYPES = {"stream": str, "mark": bytes, "fingerprint": bytes, "keep_ms": int, "conversation": str, "size": int}


def _decode(content: bytes) -> Entry | None:
    """None for what is damaged, or of another version."""
    try:
        stored = _decode_any(content)
        entry = Entry(**{**stored, "fields": tuple(stored["fields"])})
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError):
        return None
    sound = all(isinstance(getattr(entry, name), kind) for name, kind in _TYPES.items())
    return entry if sound and all(isinstance(field, str | bytes) for field in entry.fields) else None
