"""Reads one partition for as long as the consumer runs, and sees every entry it took to its end."""

import asyncio
import random
from collections.abc import Iterable
from contextlib import suppress

from gateway.queue.connection.deployment import QueueUnavailable
from gateway.queue.consumer.conversations import Conversations
from gateway.queue.consumer.delivery import Held
from gateway.queue.consumer.options import ConsumerOptions
from gateway.queue.consumer.partition import FIRST, Partition

_BEATS = 4
"""Signs of life per `claim_after`: a few may be lost."""
_SWEEPS = 2
"""Looks for dead readers' entries per `claim_after`."""
_FIRST_PAUSE, _LONGEST_PAUSE, _MOST_DOUBLINGS = 0.1, 5.0, 10


class Reader:
    """Keeps what it read in hand until Redis has heard what became of it."""

    def __init__(
        self, partition: Partition, conversations: Conversations, options: ConsumerOptions, stopping: asyncio.Event
    ) -> None:
        self._stopping, self._unsettled = stopping, asyncio.Event()
        self._partition, self._conversations, self._options = partition, conversations, options
        self._in_hand: dict[tuple[str, str], Held] = {}
        self._outcomes: list[tuple[Held, bool]] = []
        self._to_sweep: dict[str, str] = {}
        self._sweep_at = 0.0

    async def read_on(self) -> None:
        """Read until stopped; a Redis that is away is asked again for ever."""
        failures = 0
        while not self._stopping.is_set():
            try:
                await self._join()
                failures = 0
                while not self._stopping.is_set():
                    await self._step()
            except QueueUnavailable:
                failures += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(_pause(failures)):
                        await self._stopping.wait()

    async def keep_up(self) -> None:
        """Send signs of life and outcomes until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(), name="beat")
            group.create_task(self._settle_on(), name="settle")

    async def leave(self) -> None:
        """Say what became of what is in hand, and give the rest back to whoever looks next."""
        with suppress(QueueUnavailable):
            await self._settle()
        with suppress(QueueUnavailable):  # then it is taken over once `claim_after` has passed
            await self._partition.keep([*self._in_hand.values()], give_back=True)
            await self._partition.leave()

    async def count(self, held: Held) -> bool:
        """As `Home` says. True where Redis is away: nobody else can have it then."""
        with suppress(QueueUnavailable):
            await self._partition.keep([held])
        return not held.lost

    def settle(self, held: Held, *, poison: bool) -> None:
        """As `Home` says; what comes while a round trip is under way goes out together in the next one."""
        self._outcomes.append((held, poison))
        self._unsettled.set()

    def forget(self, held: Held) -> None:
        """As `Home` says."""
        self._in_hand.pop((held.stream, held.entry_id), None)

    async def _join(self) -> None:
        await self._partition.join()
        await self._partition.keep([*self._in_hand.values()])
        for stream in self._partition.streams:
            self._take(await self._partition.take_own(stream))

    async def _step(self) -> None:
        await self._conversations.room()
        if self._stopping.is_set():
            return
        now = asyncio.get_running_loop().time()
        if now >= self._sweep_at and not self._to_sweep:
            self._to_sweep = dict.fromkeys(self._partition.streams, FIRST)
            self._sweep_at = now + self._options.claim_after / _SWEEPS
        for stream, start in [*self._to_sweep.items()]:
            self._to_sweep[stream], found = await self._partition.take_over(stream, start)
            if self._to_sweep[stream] == FIRST:
                del self._to_sweep[stream]
            self._take(found)
        self._take(await self._partition.read(wait=not self._to_sweep))

    def _take(self, found: Iterable[Held]) -> None:
        for held in found:
            key = (held.stream, held.entry_id)
            if key not in self._in_hand:
                self._in_hand[key] = held
                self._conversations.add(held, self)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._options.claim_after / _BEATS)
            with suppress(QueueUnavailable):
                await self._partition.keep([*self._in_hand.values()])

    async def _settle_on(self) -> None:
        failures = 0
        while True:
            await self._unsettled.wait()
            try:
                await self._settle()
                failures = 0
            except QueueUnavailable:
                failures += 1
                await asyncio.sleep(_pause(failures))

    async def _settle(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        self._unsettled.clear()
        try:
            handled = [held for held, poison in outcomes if not poison]
            await self._partition.acknowledge(handled)
            for held in handled:
                self.forget(held)
            for held in (held for held, poison in outcomes if poison):
                await self._partition.bury(held)
                self.forget(held)
        finally:
            # Nothing here is settled by half: to acknowledge or to bury again is harmless.
            left = [pair for pair in outcomes if (pair[0].stream, pair[0].entry_id) in self._in_hand]
            if left:
                self._outcomes = [*left, *self._outcomes]
                self._unsettled.set()


def _pause(failures: int) -> float:
    longest: float = min(_FIRST_PAUSE * 2 ** min(failures, _MOST_DOUBLINGS), _LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1)
