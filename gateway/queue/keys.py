"""The names on Redis. One hash tag per partition, so that a batch touches one cluster slot."""

from dataclasses import dataclass
from hashlib import blake2b

DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of one partition."""

    prefix: str = "tickets"

    def _key(self, name: str) -> str:
        return f"{{{self.prefix}}}:{name}"

    def stream(self, tier: str) -> str:
        """The stream of a tier, or of the dead letters."""
        return self._key(tier)

    @property
    def seen(self) -> str:
        """Sorted set: the 16 bytes of each id, scored with when it may be forgotten (ms)."""
        return self._key("seen")

    @property
    def stats(self) -> str:
        """Hash of counters."""
        return self._key("stats")

    @property
    def cursors(self) -> str:
        """Hash: how far each inbox that fetches has come."""
        return self._key("cursors")

    @property
    def probe(self) -> str:
        """A stream of one entry that nobody reads: what is written to know that the server takes writes."""
        return self._key("probe")


def partitions(prefix: str, count: int) -> tuple[Keys, ...]:
    """The keys of every partition; a single one has the bare prefix."""
    if count == 1:
        return (Keys(prefix=prefix),)
    return tuple(Keys(prefix=f"{prefix}:{number}") for number in range(count))


def conversation_hash(conversation: str) -> int:
    """63 bits of a conversation's name: the same in every process and at every start."""
    digest = blake2b(conversation.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
