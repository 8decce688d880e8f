"""What could not become an envelope, kept whole so that it can be looked at and tried again."""

from datetime import datetime
from typing import Literal

import msgspec

from gateway.identity import Identity
from gateway.queue.keys import DEAD
from gateway.queue.publisher import Entry, Published, Publisher

DeadReason = Literal["malformed", "error"]
"""The payload breaks its channel's own rules, or a bug of ours."""


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
                fields=fields,
                size=sum(len(f) for f in fields),
            )
        )
