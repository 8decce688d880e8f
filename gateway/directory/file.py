"""Customers from a file, held in memory and read again when it changes; a broken edit keeps the last good one."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import msgspec

from gateway.directory import table
from gateway.directory.lookup import Lookup, Question
from gateway.directory.matching import Known, answer, choose
from gateway.directory.options import Callbacks, DirectoryError, Encoding, FileOptions
from normalizers.message import Address

_MOST_RECENT = 8192
Stamp: TypeAlias = tuple[int, int, int] | None
"""Inode, size and time of change; None where there is no file."""


class FileSource:
    """One file, read when this is built (raises DirectoryError); asking it never waits."""

    def __init__(
        self,
        options: FileOptions,
        *,
        name: str = "file",
        tiers: Collection[str],
        callbacks: Callbacks | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self._path, self._encoding, self._refresh = options.path, options.encoding, options.refresh
        self._tiers, self._clock = tuple(tiers), clock
        self.callbacks = callbacks or Callbacks()
        self._seen = self._used = _stamp(self._path)
        self._table, self._as_of = _load(self._path, self._tiers, self._encoding), clock()
        self._recent: dict[Address, Lookup | None] = {}
        self._outdated = False

    @property
    def down(self) -> bool:
        """Whether the file changed into something that cannot be used, or is gone."""
        return self._outdated

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about the file in use."""
        return self._table.notes

    def __len__(self) -> int:
        return len(self._table.rows)

    async def find(self, question: Question, deadline: float = 0.0, /) -> Lookup:
        """`stale` while the file that changed cannot be used, or is gone."""
        found = choose(question, self._look)
        if self._outdated and found.status == "known":
            return msgspec.structs.replace(found, status="stale")
        return found

    def places(self, address: Address) -> tuple[str, ...]:
        """Where the file names a customer by this address, as `file:line`; more than one where it names several."""
        return tuple(f"{self._path}:{line}" for line in self._table.lines(address.kind, address.value))

    def _look(self, address: Address) -> Lookup | None:
        try:
            return self._recent[address]
        except KeyError:
            pass
        found = [Known(customer) for customer in self._table.rows.find(address.kind, address.value)]
        if len(self._recent) >= _MOST_RECENT:
            self._recent.clear()
        kept = self._recent[address] = answer(address, found, source=self.name, as_of=self._as_of)
        return kept

    async def watch(self) -> None:
        """Look at the file as often as it says, until cancelled."""
        while True:
            await asyncio.sleep(self._refresh)
            await self.refresh()

    async def refresh(self) -> None:
        """Read the file if it changed and has settled: who copies a large one writes for more than a moment."""
        before, self._seen = self._seen, await asyncio.to_thread(_stamp, self._path)
        if self._seen != before or self._seen == self._used:
            return
        try:
            fresh = await asyncio.to_thread(_load, self._path, self._tiers, self._encoding)
            if await asyncio.to_thread(_stamp, self._path) != self._seen:
                return  # it changed while it was read: the next look sees it again
            if self._table.customers and not fresh.customers:
                raise DirectoryError([f"{self._path}: names no customer any more"])
        except DirectoryError as error:
            self._used, self._outdated = self._seen, True
            self.callbacks.on_refuse(self.name, self._without_folder(error.faults))
            return
        self._used, self._outdated = self._seen, False
        self._table, self._as_of, self._recent = fresh, self._clock(), {}
        self.callbacks.on_reload(self.name, len(fresh.rows), self._without_folder(fresh.notes))

    def _without_folder(self, lines: Sequence[str]) -> list[str]:
        """Fit for a log."""
        return [line.replace(str(self._path), self._path.name) for line in lines]


def _load(path: Path, tiers: Collection[str], encoding: Encoding) -> table.Table:
    return table.read(path, tiers=tiers, encoding=encoding)


def _stamp(path: Path) -> Stamp:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
