"""The names on Redis. One hash tag per partition, so that a batch touches one cluster slot."""

from dataclasses import dataclass

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
