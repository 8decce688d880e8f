"""What the tests of publishing share: entries, and what a publisher reported."""

from typing import cast

from redis.asyncio import Redis

from gateway.identity import digest16
from gateway.queue.entry import Entry
from gateway.queue.keys import Keys

TIERS = ("premium", "business", "free")
KEYS = Keys(prefix="tickets")


def entry(
    key: str,
    *,
    tier: str = "free",
    fingerprint: str = "",
    keep_ms: int = 60_000,
    size: int = 1,
    conversation: str = "",
) -> Entry:
    return Entry(
        stream=tier,
        mark=digest16(key),
        fingerprint=digest16(f"{key}\n{fingerprint}") if fingerprint else b"",
        keep_ms=keep_ms,
        conversation=conversation or key,
        fields=("id", key, "event", b"{}"),
        size=size,
    )


class Batches(list[int]):
    def __call__(self, entries: int, seconds: float) -> None:
        self.append(entries)


class Told:
    """What a publisher and its spool reported."""

    def __init__(self) -> None:
        self.batches = Batches()
        self.links: list[tuple[bool, str]] = []
        self.spool: list[str] = []
        self.poison: list[str] = []


async def ids(redis: Redis, tier: str = "free") -> list[str]:
    """The ids on the stream of a tier, in order."""
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(KEYS.stream(tier)))
    return [fields[b"id"].decode() for _, fields in entries]
