"""Looks at the depths again and again, so that nobody who asks for metrics has to wait for Redis."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from gateway.queue.connection.deployment import Deployment
from gateway.queue.depths import Depths, queue_depths
from gateway.queue.keys import Keys
from gateway.queue.recurring import AWAY, recurring
from gateway.queue.spool.totals import SpooledTotal, spooled

EVERY = 10.0
"""Seconds between two looks."""


class Watch:
    """Tells the depths of the queue and of the spool; the one goes on while the other cannot be read."""

    def __init__(
        self,
        deployment: Deployment,
        partitions: Sequence[Keys],
        tiers: Sequence[str],
        spool: Path,
        *,
        every: float = EVERY,
        on_depths: Callable[[Depths], None],
        on_spooled: Callable[[SpooledTotal], None],
        on_state: Callable[[str, bool, str], None] = lambda what, well, why: None,
    ) -> None:
        """`every` in seconds; `on_state` hears `depths` or `spool`, whether it can be read, and why not."""
        self._deployment, self._partitions, self._tiers, self._spool = deployment, partitions, tiers, spool
        self._every, self._on_depths, self._on_spooled, self._on_state = every, on_depths, on_spooled, on_state

    async def run(self) -> None:
        """For ever; what cannot be read is tried again."""
        async with asyncio.TaskGroup() as both:
            for what, look, expected in (
                ("depths", self.look_at_queue, AWAY),
                ("spool", self.look_at_spool, (sqlite3.Error, OSError)),
            ):
                told = partial(self._on_state, what)
                both.create_task(recurring(look, every=self._every, expected=expected, on_state=told), name=what)

    async def look_at_queue(self) -> None:
        """Once. Raises QueueUnavailable."""
        try:
            self._on_depths(await queue_depths(self._deployment, self._partitions, self._tiers))
        except AWAY:
            with suppress(*AWAY):
                await self._deployment.moved()
            raise

    async def look_at_spool(self) -> None:
        """Once. Raises sqlite3.Error, OSError."""
        self._on_spooled(await asyncio.to_thread(spooled, self._spool))
