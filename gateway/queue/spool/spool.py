"""Where entries wait while their server is away: a file per process, what a dead process left is taken over."""

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from gateway.queue.entry import Entry, Published
from gateway.queue.spool.file import Spooled, SpoolFile, SpoolUnavailable
from gateway.queue.spool.places import claim, hold, others, place
from gateway.queue.spool.room import Room, SpoolLimits
from gateway.queue.spool.salvage import opened

__all__ = ["Spool", "SpoolLimits", "SpoolUnavailable", "Spooled", "open_spool"]

T = TypeVar("T")
_ADOPT = 1000
_READ_BYTES = 4 * 2**20


class Spool:
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
        self._folder, self._number, self._lock, self._room = folder, number, lock, Room(folder, limits)
        self._partitions, self._on_added, self._on_event = partitions, on_added, on_event
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._adopting = asyncio.Lock()
        self._file: SpoolFile | None = None
        self.filled = [asyncio.Event() for _ in range(partitions)]
        """Set while anything of the partition waits."""
        self.conversations: Counter[int] = Counter()
        """Entries that wait, by conversation."""
        self._counts = [0] * partitions
        self.entries = self.bytes = 0
        self.oldest_at: float | None = None

    async def open(self) -> None:
        """Read what an earlier process left in this place. Raises sqlite3.Error, OSError."""
        file, damaged = await self._do(opened, place(self._folder, self._number), self._partitions)
        self._file = file
        self.conversations.clear()
        self._counts, self.entries = [0] * self._partitions, 0
        for event in self.filled:
            event.clear()
        for partition, conversation, count in await self._do(lambda: list(file.conversations())):
            self._count(partition, conversation, count)
        _, self.bytes, self.oldest_at = await self._do(file.sums)
        if damaged:
            self._on_event("spool.damaged", self.entries)
        self._changed(before=0)

    async def append(self, entries: Sequence[Entry], *, sent: bool = False) -> list[Published]:
        """Durable when it returns; an entry that waits already is a duplicate. Raises SpoolUnavailable.

        `sent` says that a write of them may be there already.
        """
        try:
            if self._file is None:
                await self.open()
            answers, added = await self._do(self._append, entries, sent)
        except sqlite3.DatabaseError as error:
            await self._damaged(error)
            raise SpoolUnavailable(type(error).__name__) from error
        except OSError as error:
            raise SpoolUnavailable(type(error).__name__) from error
        self._add(added)
        self._on_added(len(added))
        return answers

    def _append(self, entries: Sequence[Entry], sent: bool) -> tuple[list[Published], list[Spooled]]:
        if why := self._room.refusal():
            raise SpoolUnavailable(why)
        answers, added = self._ours().append(entries, sent)
        self._room.taken(sum(row.size for row in added))
        return answers, added

    async def peek(self, partition: int, *, after: int = 0, most: int) -> list[Spooled]:
        """The oldest of a partition that wait behind the number `after`. Raises sqlite3.Error."""
        return await self._do(lambda: self._ours().peek(partition, after=after, most=most, most_bytes=_READ_BYTES))

    async def remove(self, rows: Sequence[Spooled]) -> None:
        """Forget what has been published. Raises sqlite3.Error."""
        if not rows:
            return
        before = self.entries
        self.oldest_at = await self._do(self._remove, [(row.seq, row.mark) for row in rows], before == len(rows))
        for row in rows:
            self._count(row.partition, row.conversation, -1)
            self.bytes -= row.size
        self._changed(before)

    def _remove(self, rows: Sequence[tuple[int, bytes]], last: bool) -> float | None:
        file = self._ours()
        file.remove(rows)
        if last:
            file.refill()
            self._room.given_back()
        return file.oldest_at()

    def waiting(self, partition: int) -> int:
        """How many entries of a partition wait."""
        return self._counts[partition]

    async def writable(self) -> bool:
        """Whether it would take an entry now."""
        return self._file is not None and not await self._do(self._room.refusal)

    async def adopt(self) -> None:
        """Take over what processes that are gone have left. Raises sqlite3.Error, OSError."""
        async with self._adopting:
            for number in await self._do(others, self._folder, self._number):
                lock = hold(self._folder, number)
                if lock is None:
                    continue
                try:
                    await self._take_over(number)
                finally:
                    os.close(lock)

    async def _take_over(self, number: int) -> None:
        other, damaged = await self._do(opened, place(self._folder, number), self._partitions)
        if damaged:
            self._on_event("spool.damaged", other.sums()[0])
        try:
            oldest = await self._do(other.oldest_at)
            while rows := await self._do(lambda: other.rows(most=_ADOPT, most_bytes=_READ_BYTES)):
                # Written here, then deleted there: in between it is kept twice rather than nowhere.
                self._add(await self._do(self._ours().take, rows))
                await self._do(other.remove, [(row[0], row[3]) for row in rows])
        except sqlite3.OperationalError:
            await self._do(other.give_up_ballast)  # the next try has that room
            raise
        finally:
            await self._do(other.close)
        if oldest and self.entries:
            self.oldest_at = min(oldest, self.oldest_at or oldest)
        await self._do(lambda: place(self._folder, number).unlink(missing_ok=True))

    async def close(self) -> None:
        """Close the file and let go of its place; what waits is the next process's."""
        if self._file is not None:
            await self._do(self._file.close)
        self._thread.shutdown()
        os.close(self._lock)

    def _ours(self) -> SpoolFile:
        if self._file is None:
            raise SpoolUnavailable("the spool is damaged")
        return self._file

    async def _damaged(self, error: sqlite3.DatabaseError) -> None:
        """What is wrong with the file itself stays wrong: the next entry opens it anew, and finds the damage."""
        if not isinstance(error, sqlite3.OperationalError) and self._file is not None:
            file, self._file = self._file, None
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

    def _count(self, partition: int, conversation: int, by: int) -> None:
        self.entries += by
        self._counts[partition] += by
        (self.filled[partition].set if self._counts[partition] else self.filled[partition].clear)()
        self.conversations[conversation] += by
        if not self.conversations[conversation]:
            del self.conversations[conversation]

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

    Reports spool.started with the first entry that waits, spool.drained with the last, and spool.damaged.
    """
    try:
        number, lock = claim(folder)
        spool = Spool(
            folder,
            number,
            lock,
            partitions=partitions,
            limits=limits or SpoolLimits(),
            on_added=on_added,
            on_event=on_event,
        )
        await spool.open()
        await spool.adopt()  # before anything new of the same conversations
    except (OSError, sqlite3.Error) as error:
        raise SpoolUnavailable(f"{folder}: {error}") from error
    try:
        yield spool
    finally:
        await spool.close()
