"""What waits in the spool of this process, as far as everybody has to know it at once."""

import asyncio
from collections import Counter
from collections.abc import Iterable


class Counts:
    """Kept on the event loop, beside the file: asking costs nothing."""

    def __init__(self, partitions: int) -> None:
        self.entries = self.bytes = 0
        self.oldest_at: float | None = None
        """When the oldest came (Unix time)."""
        self.conversations: Counter[int] = Counter()
        """Entries that wait, by conversation."""
        self.filled = [asyncio.Event() for _ in range(partitions)]
        """Set while anything of the partition waits."""
        self._waiting = [0] * partitions

    def waiting(self, partition: int) -> int:
        """How many entries of a partition wait."""
        return self._waiting[partition]

    def _count(self, partition: int, conversation: int, by: int) -> None:
        self.entries += by
        self._waiting[partition] += by
        (self.filled[partition].set if self._waiting[partition] else self.filled[partition].clear)()
        self.conversations[conversation] += by
        if not self.conversations[conversation]:
            del self.conversations[conversation]

    def _recount(self, found: Iterable[tuple[int, int, int]]) -> None:
        """From the file: partition, conversation and number of its entries."""
        self.entries, self._waiting = 0, [0] * len(self._waiting)
        self.conversations.clear()
        for event in self.filled:
            event.clear()
        for partition, conversation, number in found:
            self._count(partition, conversation, number)
