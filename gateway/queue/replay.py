"""Drains the spool of one partition as soon as its server is back, in order per conversation."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

import structlog
from redis.exceptions import ResponseError

from gateway.queue.connection.answers import word
from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.keys import DEAD
from gateway.queue.lane import Lane
from gateway.queue.publish_script import PublishScript
from gateway.queue.spool.spool import Spool, Spooled, SpoolUnavailable
from gateway.queue.unpublishable import ERROR, letter, publishable

SHORTEST, LONGEST = 0.05, 1.0
"""Seconds between two knocks at a server that is away."""
STEADY = 5.0
"""Seconds a server has to stay before its next absence is knocked at as eagerly as the first."""
ATTEMPTS = 8
"""How often an entry that alone is refused is tried before it becomes a dead letter: a good minute."""
FIRST_HOLD, LONGEST_HOLD = 0.25, 30.0
BATCH = 256


@dataclass
class _Held:
    attempts: int = 0
    until: float = 0.0


class Replay:
    """What is refused for its own sake holds up its conversation only, and ends as a dead letter."""

    def __init__(
        self, lane: Lane, script: PublishScript, spool: Spool, partition: int, *, on_poison: Callable[[str], None]
    ) -> None:
        self._lane, self._script, self._spool, self._partition = lane, script, spool, partition
        self._on_poison = on_poison
        self._held: dict[int, _Held] = {}
        self._most = BATCH
        self._doubtful: set[bytes] = set()
        """Marks of what was sent and stands in the spool still: it may be there."""

    async def run(self) -> None:
        """For ever; whatever goes wrong, the next round may do better."""
        pause, came_back = SHORTEST, 0.0
        while True:
            try:
                await self._needed()
                if not self._lane.up and monotonic() - came_back < STEADY:
                    pause = min(pause * 2, LONGEST)  # it was here a moment ago
                    await asyncio.sleep(pause * random.uniform(0.5, 1))
                was_up = self._lane.up
                done = await self._round()
                if not was_up:
                    pause, came_back = (SHORTEST if monotonic() - came_back > STEADY else pause), monotonic()
                if not done:
                    await asyncio.sleep(LONGEST)
            except SpoolUnavailable:  # our own disk: no reason to keep from the server what need not wait
                structlog.get_logger().error("replay.failed", error="SpoolUnavailable")
                await asyncio.sleep(LONGEST)
            except QueueUnavailable as error:
                self._lane.link(False, str(error))
                pause = min(pause * 2, LONGEST)
                await asyncio.sleep(pause * random.uniform(0.5, 1))
            except Exception as error:  # a drain that died would be messages that never arrive
                structlog.get_logger().error("replay.failed", error=type(error).__name__)
                await asyncio.sleep(LONGEST)

    async def _needed(self) -> None:
        """Return once the server is away, or something waits for it."""
        filled = self._spool.filled[self._partition]
        while self._lane.up and not filled.is_set():
            waits = [asyncio.ensure_future(event.wait()) for event in (self._lane.down, filled)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _round(self) -> bool:
        """Once through what waits; whether anything could be done. Raises QueueUnavailable."""
        probed = not self._lane.up
        if probed:
            await self._script.probe()
        sent = False
        after, now = 0, monotonic()
        blocked: set[int] = set()
        """Conversations of which something was left behind in this round: nothing may go past it."""
        try:
            while rows := await self._spool.peek(self._partition, after=after, most=self._most):
                after = rows[-1].seq
                ready = [row for row in rows if self._may_go(row, blocked, now)]
                if ready:
                    blocked |= await self._try(ready)
                    self._lane.link(True)
                    sent = True
        except SpoolUnavailable:
            if probed:
                self._lane.link(True)
            raise
        if probed and not sent:
            self._lane.link(True)
        return probed or sent

    def _may_go(self, row: Spooled, blocked: set[int], now: float) -> bool:
        if row.conversation in blocked:
            return False
        held = self._held.get(row.conversation)
        if held is None:
            return True
        blocked.add(row.conversation)  # of one that was refused before, the first alone is tried
        return held.until < now

    async def _try(self, rows: Sequence[Spooled]) -> set[int]:
        try:
            blocked = await self._send(rows)
        except QueueUnavailable:
            self._most = max(self._most // 2, 1)  # it may be the size of the batch that takes too long
            if len(rows) > 1:
                raise
            await self._script.probe()  # raises as well where it is the server
            await self._refused(rows[0], "Unanswered")
            return {rows[0].conversation}
        self._most = min(self._most * 2, BATCH)
        return blocked

    async def _send(self, rows: Sequence[Spooled]) -> set[int]:
        """Publish them; the conversations of which something was left behind."""
        rows = [row if row.mark not in self._doubtful else row._replace(sent=True) for row in rows]
        entries = [publishable(row, self._script.streams) for row in rows]
        self._doubtful.update(row.mark for row in rows)
        answers = await self._script.publish(entries)
        gone: list[Spooled] = []
        behind: set[int] = set()
        for row, entry, answer in zip(rows, entries, answers, strict=True):
            if not isinstance(answer, Published):
                behind.add(row.conversation)
                self._doubtful.discard(row.mark)
            if isinstance(answer, ResponseError):
                await self._refused(row, word(answer))
            elif isinstance(answer, Published):
                # Accepted while nobody could know of the other content: a person has to decide.
                if answer is Published.CONFLICT and not await self._bury(entry, "Conflict", 1):
                    behind.add(row.conversation)
                    self._hold(row)
                    continue
                if entry is not row.entry:
                    self._on_poison(str(entry.fields[ERROR]))
                self._held.pop(row.conversation, None)
                gone.append(row)
        await self._remove(gone)
        return behind

    async def _remove(self, rows: Sequence[Spooled]) -> None:
        await self._spool.remove(rows)
        self._doubtful.difference_update(row.mark for row in rows)

    def _hold(self, row: Spooled) -> int:
        """Hold its conversation back, longer each time; how often that was."""
        held = self._held.setdefault(row.conversation, _Held())
        held.attempts += 1
        held.until = monotonic() + min(FIRST_HOLD * 2 ** min(held.attempts, 16), LONGEST_HOLD)
        return held.attempts

    async def _refused(self, row: Spooled, why: str) -> None:
        """Hold its conversation back; at the end it becomes a dead letter instead."""
        attempts = self._hold(row)
        entry = publishable(row, self._script.streams)
        if attempts >= ATTEMPTS and entry.stream != DEAD and await self._bury(entry, why, attempts):
            del self._held[row.conversation]
            await self._remove([row])

    async def _bury(self, entry: Entry, why: str, attempts: int) -> bool:
        """Whether it is a dead letter now; where their stream is at fault as well, it stays in the spool."""
        try:
            (answer,) = await self._script.publish([letter(entry, why, attempts)])
        except QueueUnavailable:
            await self._script.probe()  # raises as well where it is the server, and not what is written
            return False
        if not isinstance(answer, Published):
            return False
        self._on_poison(why)
        return True
