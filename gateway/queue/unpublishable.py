"""What of the spool cannot be published as it is, or at all: as a dead letter."""

from collections.abc import Container
from time import time

import msgspec

from gateway.identity import digest16
from gateway.queue.entry import Entry
from gateway.queue.keys import DEAD
from gateway.queue.spool.spool import Spooled


class _Data(msgspec.Struct):
    received_at: str = ""


class _Event(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


_KEEP_MS = 600_000
"""As long as a letter whose answer was lost may be written again; a mark must not outlive its letter."""
ERROR = 9
"""The place of the error's value among a letter's fields."""


def publishable(row: Spooled, streams: Container[str]) -> Entry:
    """What is published of it: a dead letter where it cannot be what it was."""
    if row.entry is None:
        fields = (
            *("id", "", "channel", "", "inbox", "", "reason", "unpublishable", "error", "Unreadable"),
            *("payload", row.content, "received_at", "", "attempts", "1"),
        )
        mark = digest16(f"unreadable:{row.content.hex()}")
        return Entry(stream=DEAD, mark=mark, keep_ms=_KEEP_MS, conversation=mark.hex(), fields=fields, size=row.size)
    if row.entry.stream not in streams:
        return letter(row.entry, "NoSuchTier", 1)  # tiers.order has changed meanwhile
    if row.sent and time() - row.spooled_at > row.entry.keep_ms / 1000:
        return letter(row.entry, "Outlived", 1)  # its mark may be forgotten and the entry there: nobody can know
    return row.entry


def letter(entry: Entry, why: str, attempts: int) -> Entry:
    """The entry as a dead letter, its event as the payload; a dead letter that was refused stays what it was."""
    said = dict(zip(entry.fields[::2], entry.fields[1::2], strict=True))
    if entry.stream == DEAD:
        return entry
    event = said.get("event", b"")
    fields = (
        *("id", said.get("id", ""), "channel", said.get("channel", ""), "inbox", said.get("inbox", "")),
        *("reason", "unpublishable", "error", why, "payload", event, "fingerprint", entry.fingerprint.hex()),
        *("received_at", _received_at(event), "attempts", str(attempts)),
    )
    return Entry(
        stream=DEAD,
        mark=burial_mark(entry.mark, entry.fingerprint.hex()),
        keep_ms=_KEEP_MS,
        conversation=entry.conversation,
        fields=fields,
        size=entry.size,
    )


def burial_mark(mark: bytes, fingerprint: str) -> bytes:
    """Of the letter, not of the entry in it; the fingerprint in hexadecimal."""
    return digest16(f"unpublishable:{mark.hex()}:{fingerprint}")


def _received_at(event: bytes | str) -> str:
    try:
        return msgspec.json.decode(event, type=_Event).data.received_at
    except (msgspec.MsgspecError, ValueError):
        return ""
