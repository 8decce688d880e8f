"""Publishes entries: to the server of their partition, or to the spool until that is back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from gateway.queue.connection.deployment import Deployment
from gateway.queue.connection.link import Command, Link
from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.keys import Keys, conversation_hash
from gateway.queue.lane import Bounds, Lane
from gateway.queue.publish_script import PublishScript
from gateway.queue.replay import Replay
from gateway.queue.spool.spool import Spool

__all__ = ["Bounds", "Publisher", "publishing"]

ADOPT = 5.0
"""Seconds between two looks for what dead processes have left."""


class Publisher:
    """One lane per partition; a conversation is always in the same one."""

    def __init__(self, lanes: Sequence[Lane], probes: Sequence[PublishScript]) -> None:
        self._lanes, self._probes = lanes, probes
        self._probing: asyncio.Future[list[None]] | None = None

    def publish(self, entry: Entry) -> "asyncio.Future[Published]":
        """Done once the entry is durably on its stream or in the spool, or was before.

        QueueUnavailable is its exception where it is kept nowhere.
        """
        lanes = self._lanes
        if len(lanes) == 1:
            return lanes[0].publish(entry)
        return lanes[conversation_hash(entry.conversation) % len(lanes)].publish(entry)

    @property
    def up(self) -> bool:
        """Whether every partition's server took what it was last given."""
        return all(lane.up for lane in self._lanes)

    async def probe(self) -> bool:
        """Whether every partition's server takes a write now; that one is back only its replay says."""
        if self._probing is None or self._probing.done():
            self._probing = asyncio.gather(*map(self._probe, self._lanes, self._probes))
        await asyncio.shield(self._probing)
        return self.up

    async def _probe(self, lane: Lane, script: PublishScript) -> None:
        if lane.up:
            try:
                await script.probe()
            except QueueUnavailable as error:
                lane.link(False, str(error))


@asynccontextmanager
async def publishing(
    deployment: Deployment,
    partitions: Sequence[Keys],
    tiers: Sequence[str],
    spool: Spool,
    *,
    timeout: float = 1.0,
    wait: Command | None = None,
    bounds: Bounds | None = None,
    on_batch: Callable[[int, float], None] = lambda size, seconds: None,
    on_link: Callable[[bool, str], None] = lambda up, why: None,
    on_poison: Callable[[str], None] = lambda why: None,
) -> AsyncIterator[Publisher]:
    """A publisher, its spool drained as long as it is entered; leaving it finishes what is in hand.

    `timeout` in seconds bounds each exchange with the server, and so how long anybody waits before the spool takes
    over; `wait` asks for replicas or fsync with each batch.
    """

    def script(keys: Keys, wait: Command | None = wait) -> PublishScript:
        return PublishScript(Link(deployment, keys.seen, timeout=timeout), keys, tiers, wait)

    was_up = True

    def link(up: bool, why: str) -> None:
        """Up is when all of them are."""
        nonlocal was_up
        up = all(lane.up for lane in lanes)
        if up is not was_up:
            was_up = up
            on_link(up, why)

    live, again, probes = ([script(keys) for keys in partitions] for _ in range(3))
    lanes = [
        Lane(one, spool, timeout=timeout, bounds=bounds or Bounds(), on_batch=on_batch, on_link=link) for one in live
    ]
    publisher = Publisher(lanes, probes)
    await publisher.probe()  # away at the start: known before the first message
    replays = [
        asyncio.create_task(Replay(lane, one, spool, number, on_poison=on_poison).run(), name=f"replay-{number}")
        for number, (lane, one) in enumerate(zip(lanes, again, strict=True))
    ]
    replays.append(asyncio.create_task(_adopting(spool), name="adopting"))
    try:
        yield publisher
    finally:
        try:
            await asyncio.gather(*(lane.drain() for lane in lanes))
        finally:
            for replay in replays:
                replay.cancel()
            await asyncio.gather(*replays, return_exceptions=True)
            for one in (*live, *again, *probes):
                await one.close()


async def _adopting(spool: Spool) -> None:
    while True:
        await asyncio.sleep(ADOPT)
        with suppress(OSError):  # the folder cannot be looked at just now
            await spool.adopt()
