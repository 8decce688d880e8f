"""How many messages a peer may send in a minute."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MOST_PEERS: Final = 100_000
"""That are remembered; beyond, those are forgotten that were not heard of for longest."""
_MINUTE: Final = 60.0


class Rates:
    """A bucket of a minute's messages for each peer, filled at a steady rate; without `per_minute` no limit."""

    def __init__(self, per_minute: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._peers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, peer: str) -> bool:
        """Whether one more message from there is welcome now; nobody in particular (empty) always is."""
        if self._per_minute is None or not peer:
            return True
        now = self._clock()
        left, at = self._peers.pop(peer, (float(self._per_minute), now))
        left = min(left + (now - at) * self._per_minute / _MINUTE, self._per_minute)
        welcome = left >= 1
        self._peers[peer] = (left - welcome, now)
        self._forget(now)
        return welcome

    def __len__(self) -> int:
        return len(self._peers)

    def _forget(self, now: float) -> None:
        """Those whose bucket is full again are as good as never seen."""
        while self._peers:
            peer, (_, at) = next(iter(self._peers.items()))
            if now - at < _MINUTE and len(self._peers) <= MOST_PEERS:
                return
            del self._peers[peer]
