"""What could not become an envelope, kept whole so that it can be looked at and tried again."""

from datetime import datetime
from typing import Literal

import msgspec

from gateway.identity import Identity
from gateway.queue.entry import Entry, Published
from gateway.queue.keys import DEAD
from gateway.queue.publisher import Publisher

DeadReason = Literal["malformed", "error", "poison", "unpublishable"]
"""The payload breaks its channel's own rules; a bug of ours; the core gave up on it; the server refused it alone."""

ENVELOPES: tuple[DeadReason, ...] = ("poison", "unpublishable")
"""Of these the payload is the envelope's JSON, not the channel's payload."""

INLINE_PAYLOAD = 64 * 1024
"""Larger ones belong into the object store: Redis holds them in memory for weeks."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One payload and why it is here. `payload` is msgspec JSON of the channel's payload type."""

    identity: Identity
    channel: str
    inbox: str
    reason: DeadReason
    error: str
    payload: bytes
    payload_uri: str | None
    """Where the payload is instead, when it is too large for Redis."""
    received_at: datetime


class DeadLetters:
    """Writes dead letters through the publisher: the same payload again is one letter."""

    def __init__(self, publisher: Publisher, *, keep_ms: int) -> None:
        self._publisher = publisher
        self._keep_ms = keep_ms

    async def bury(self, letter: DeadLetter) -> Published:
        """Durable when it returns. Raises QueueUnavailable."""
        at = letter.received_at.isoformat().replace("+00:00", "Z")
        kept: tuple[str | bytes, ...] = (
            ("payload_uri", letter.payload_uri) if letter.payload_uri else ("payload", letter.payload)
        )
        fields = (
            *("id", letter.identity.id, "channel", letter.channel, "inbox", letter.inbox),
            *("reason", letter.reason, "error", letter.error, *kept, "received_at", at, "attempts", "1"),
        )
        return await self._publisher.publish(
            Entry(
                stream=DEAD,
                mark=letter.identity.mark,
                keep_ms=self._keep_ms,
                conversation=f"dead:{letter.identity.id}",  # the same letter again meets its mark
                fields=fields,
                size=sum(len(f) for f in fields),
            )
        )
