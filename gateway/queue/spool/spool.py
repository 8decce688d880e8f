"""Where entries wait while their server is away: a file per process, what a dead process left is taken over."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from gateway.queue.entry import Entry, Published
from gateway.queue.spool.counts import Counts
from gateway.queue.spool.file import SpoolFile
from gateway.queue.spool.places import claim, hold, others, place
from gateway.queue.spool.room import Room, SpoolLimits
from gateway.queue.spool.rows import Damaged, Spooled, SpoolUnavailable, is_damage
from gateway.queue.spool.salvage import opened

__all__ = ["Spool", "SpoolLimits", "SpoolUnavailable", "Spooled", "open_spool"]

T = TypeVar("T")
_ADOPT = 1000
_READ_BYTES = 4 * 2**20
_TRIES = 2


class Spool(Counts):
    """The spool of this process. Everything but its counts is done in a thread of its own."""

    def __init__(
        self,
        folder: Path,
        number: int,
        lock: int,
        *,
        partitions: int,
        limits: SpoolLimits,
        on_added: Callable[[int], None],
        on_event: Callable[[str, int], None],
    ) -> None:
        super().__init__(partitions)
        self._folder, self._number, self._lock, self._room = folder, number, lock, Room(folder, limits)
        self._partitions, self._on_added, self._on_event = partitions, on_added, on_event
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._adopting, self._opening = asyncio.Lock(), asyncio.Lock()
        self._stuck: set[int] = set()
        self._file: SpoolFile | None = None

    async def open(self) -> None:
        """Read what an earlier process left in this place. Raises SpoolUnavailable."""
        await self._use(lambda file: None)

    async def append(self, entries: Sequence[Entry], *, sent: bool = False) -> list[Published]:
        """Durable when it returns; an entry that waits already is a duplicate. Raises SpoolUnavailable.

        `sent` says that a write of them may be there already.
        """

        def work(file: SpoolFile) -> tuple[list[Published], list[Spooled]]:
            if why := self._room.refusal():
                raise SpoolUnavailable(why)
            answers, added = file.append(entries, sent)
            self._room.taken(sum(row.size for row in added))
            return answers, added

        answers, added = await self._use(work)
        self._add(added)
        self._on_added(len(added))
        return answers

    async def peek(self, partition: int, *, after: int = 0, most: int) -> list[Spooled]:
        """The oldest of a partition that wait behind the number `after`. Raises SpoolUnavailable."""
        return await self._use(lambda file: file.peek(partition, after=after, most=most, most_bytes=_READ_BYTES))

    async def remove(self, rows: Sequence[Spooled]) -> None:
        """Forget what has been published. Raises SpoolUnavailable."""
        if not rows:
            return
        before = self.entries

        def work(file: SpoolFile) -> tuple[set[int], float | None]:
            gone = file.remove([(row.seq, row.mark) for row in rows])
            if before == len(gone):
                file.refill()
                self._room.given_back()
            return gone, file.oldest_at()

        gone, self.oldest_at = await self._use(work)
        for row in rows:
            if row.seq in gone:
                self._count(row.partition, row.conversation, -1)
                self.bytes -= row.size
        self._changed(before)

    async def writable(self) -> bool:
        """Whether it would take an entry now."""
        try:
            return not await self._use(lambda file: self._room.refusal())
        except SpoolUnavailable:
            return False

    async def adopt(self) -> None:
        """Take over what processes that are gone have left; what cannot be is said once, and tried again next time."""
        async with self._adopting:
            for number in await self._do(others, self._folder, self._number):
                try:
                    await self._take_over(number)
                    self._stuck.discard(number)
                except (sqlite3.Error, OSError, SpoolUnavailable, Damaged):
                    if number not in self._stuck:
                        self._stuck.add(number)
                        self._on_event("spool.left", number)

    async def _take_over(self, number: int) -> None:
        lock = hold(self._folder, number)
        if lock is None:
            return  # a living process has it
        try:
            other, damaged = await self._do(opened, place(self._folder, number), self._partitions)
            try:
                if damaged:
                    self._on_event("spool.damaged", (await self._do(other.sums))[0])
                await self._move(other)
            finally:
                with suppress(sqlite3.Error):
                    await self._do(other.close)
            await self._do(lambda: place(self._folder, number).unlink(missing_ok=True))
        finally:
            os.close(lock)

    async def _move(self, other: SpoolFile) -> None:
        oldest = await self._do(other.oldest_at)
        try:
            while rows := await self._do(lambda: other.rows(most=_ADOPT, most_bytes=_READ_BYTES)):
                # Written here, then deleted there: in between it is kept twice rather than nowhere.
                self._add(await self._use(lambda file, rows=rows: file.take(rows)))  # type: ignore[misc]  # bound now
                await self._do(other.remove, [(row[0], row[3]) for row in rows])
        except (sqlite3.Error, SpoolUnavailable):
            await self._do(other.give_up_ballast)  # the next try has that room
            raise
        if oldest and self.entries:
            self.oldest_at = min(oldest, self.oldest_at or oldest)

    async def close(self) -> None:
        """Close the file and let go of its place; what waits is the next process's."""
        try:
            if self._file is not None:
                with suppress(sqlite3.Error):  # a damaged one: the next start mends it
                    await self._do(self._file.close)
        finally:
            self._thread.shutdown()
            os.close(self._lock)

    async def _use(self, work: Callable[[SpoolFile], T]) -> T:
        """Work on the file; one that proves damaged is mended, and the work begun again. Raises SpoolUnavailable."""
        try:
            for _ in range(_TRIES):
                file = self._file or await self._opened()
                try:
                    return await self._do(work, file)
                except (sqlite3.Error, Damaged) as error:
                    if not is_damage(error):
                        raise
                    await self._lay_down(file)
        except (sqlite3.Error, OSError, Damaged) as error:
            raise SpoolUnavailable(type(error).__name__) from error
        raise SpoolUnavailable("damaged")

    async def _opened(self) -> SpoolFile:
        async with self._opening:
            if self._file is not None:
                return self._file
            file, damaged = await self._do(opened, place(self._folder, self._number), self._partitions)
            before, found = self.entries, await self._do(lambda: list(file.conversations()))
            self._recount(found)
            _, self.bytes, self.oldest_at = await self._do(file.sums)
            self._file = file
        if damaged:
            self._on_event("spool.damaged", self.entries)
        self._changed(before)
        return file

    async def _lay_down(self, file: SpoolFile) -> None:
        async with self._opening:
            if self._file is file:
                self._file = None
                with suppress(sqlite3.Error):
                    await self._do(file.close)

    def _add(self, added: Sequence[Spooled]) -> None:
        before = self.entries
        for row in added:
            self._count(row.partition, row.conversation, 1)
            self.bytes += row.size
        if added and self.oldest_at is None:
            self.oldest_at = added[0].spooled_at
        self._changed(before)

    def _changed(self, before: int) -> None:
        if self.entries and not before:
            self._on_event("spool.started", self.entries)
        elif before and not self.entries:
            self._on_event("spool.drained", before)

    async def _do(self, work: Callable[..., T], *arguments: object) -> T:
        # Shielded: what the thread has begun it finishes, and we must know what it did.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments))


@asynccontextmanager
async def open_spool(
    folder: Path,
    *,
    partitions: int = 1,
    limits: SpoolLimits | None = None,
    on_added: Callable[[int], None] = lambda entries: None,
    on_event: Callable[[str, int], None] = lambda event, entries: None,
) -> AsyncIterator[Spool]:
    """The spool of this process in a folder that others may share. Raises SpoolUnavailable.

    Reports spool.started with the first entry that waits, spool.drained with the last, spool.damaged, and spool.left
    for a place that cannot be taken over.
    """
    try:
        number, lock = claim(folder)
    except OSError as error:
        raise SpoolUnavailable(f"{folder}: {error}") from error
    spool = Spool(
        folder,
        number,
        lock,
        partitions=partitions,
        limits=limits or SpoolLimits(),
        on_added=on_added,
        on_event=on_event,
    )
    try:
        await spool.open()
        await spool.adopt()  # before anything new of the same conversations
        yield spool
    except SpoolUnavailable as error:
        raise SpoolUnavailable(f"{folder}: {error}") from error
    finally:
        await spool.close()
