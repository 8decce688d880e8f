"""Making room: what every group has acknowledged, seen marks past their time, dead letters past theirs."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from gateway.queue.connection.deployment import Deployment
from gateway.queue.keys import DEAD, Keys
from gateway.queue.lua import Lua
from gateway.queue.recurring import AWAY, recurring

SEEN = "seen"
_BATCH = 5_000
"""Entries one script call deletes at most, or so: a few milliseconds in which the server answers nobody else."""
_trim, _sweep = Lua("trim.lua"), Lua("sweep.lua")


class Trimming:
    """Trims every partition again and again. What a group still needs, and streams nobody reads, are left alone."""

    def __init__(
        self,
        deployment: Deployment,
        partitions: Sequence[Keys],
        tiers: Sequence[str],
        *,
        every: float,
        keep_dead: float,
        on_trimmed: Callable[[str, int], None] = lambda what, count: None,
        on_state: Callable[[bool, str], None] = lambda well, why: None,
    ) -> None:
        """`every` and `keep_dead` in seconds; `on_trimmed` hears the tier, `dead` or `seen`, and how many went."""
        self._deployment, self._partitions, self._tiers = deployment, partitions, tiers
        self._every, self._keep_dead_ms = every, int(keep_dead * 1000)
        self._on_trimmed, self._on_state = on_trimmed, on_state

    async def run(self) -> None:
        """For ever; a server that is away is waited for."""
        await recurring(self.trim, every=self._every, on_state=self._on_state)

    async def trim(self) -> None:
        """Once. A stream that fails does not keep the others from their turn: the first failure is raised at the end.

        Raises QueueUnavailable, RedisError, OSError.
        """
        failed: list[Exception] = []
        for keys in self._partitions:
            for tier in self._tiers:
                await _turn(self._trim(keys, tier), failed)
            await _turn(self._sweep(keys), failed)
        if failed:
            with suppress(*AWAY):
                await self._deployment.moved()
            raise failed[0]

    async def _trim(self, keys: Keys, tier: str) -> None:
        redis = await self._deployment.server(keys.seen)
        more = True
        while more:
            deleted, more = await _trim(redis, [keys.stream(tier)], _BATCH)
            self._tell(tier, deleted)

    async def _sweep(self, keys: Keys) -> None:
        redis = await self._deployment.server(keys.seen)
        more = True
        while more:
            forgotten, deleted, more = await _sweep(redis, [keys.seen, keys.stream(DEAD)], self._keep_dead_ms, _BATCH)
            self._tell(SEEN, forgotten)
            self._tell(DEAD, deleted)

    def _tell(self, what: str, count: int) -> None:
        if count:
            self._on_trimmed(what, count)


async def _turn(work: Awaitable[None], failed: list[Exception]) -> None:
    try:
        await work
    except AWAY as error:
        failed.append(error)
