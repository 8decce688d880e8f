"""Customers by address, held as the text of their rows: a million of them are no million objects."""

import csv
import io
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from gateway.directory.cells import Cells
from gateway.directory.lookup import Customer

_ROW_BITS = 24
_ROW = (1 << _ROW_BITS) - 1
_HASH = (1 << 63 - _ROW_BITS) - 1
MOST_ROWS = _ROW
MOST_AT_ONCE = 8192
"""Entries sorted in one call, which lets nobody else run: some milliseconds."""
_DIGIT_BITS = 8
_DIGIT = (1 << _DIGIT_BITS) - 1
_HIGHEST = 63 - _DIGIT_BITS


def pack(kind: str, value: str, row: int) -> int:
    """One entry of the index: 39 bits of this process's secret hash of an address, and 24 of the row it stands in."""
    return (hash(f"{kind}:{value}") & _HASH) << _ROW_BITS | row


def in_runs(entries: "array[int]", shift: int = _HIGHEST) -> Iterator[int]:
    """The entries in order: told apart by their highest digit first, until few enough are left to sort at once."""
    if len(entries) <= MOST_AT_ONCE or shift < 0:
        yield from sorted(entries)
        return
    buckets = [array("Q") for _ in range(1 << _DIGIT_BITS)]
    for entry in entries:
        buckets[entry >> shift & _DIGIT].append(entry)
    for bucket in buckets:
        if bucket:
            yield from in_runs(bucket, max(shift - _DIGIT_BITS, 0) if shift else -1)


class Rows:
    """The rows of one file. Immutable, and free of anything for the garbage collector to walk."""

    def __init__(self, text: bytes, starts: "array[int]", entries: "array[int]", cells: Cells) -> None:
        self._text, self._starts, self._cells = text, starts, cells
        self.ambiguous = 0
        """How many addresses name several customers: nobody gets a tier by them."""
        self.contradictory: list[int] = []
        """Rows whose customer has another tier in an earlier row."""
        self._index = array("Q", self._settled(in_runs(entries)))

    def __len__(self) -> int:
        """How many addresses can be found, customer ids included."""
        return len(self._index)

    def find(self, kind: str, value: str) -> list[Customer]:
        """The customers an address names: none, one, or two that stand for several."""
        return [self._cells.customer(cells) for _, cells in self._named(kind, value)]

    def numbers(self, kind: str, value: str) -> list[int]:
        """Which rows `find` has them from, the first after the header being 0."""
        return [row for row, _ in self._named(kind, value)]

    def _named(self, kind: str, value: str) -> Iterator[tuple[int, Sequence[str]]]:
        wanted = pack(kind, value, 0)
        place = bisect_left(self._index, wanted)
        while place < len(self._index) and self._index[place] - wanted <= _ROW:
            row = self._index[place] & _ROW
            cells = self._row(row)
            if (kind, value) in self._cells.addresses(cells):
                yield row, cells
            place += 1

    def line(self, row: int) -> int:
        """On which line of the text a row ends."""
        return self._text.count(b"\n", 0, self._starts[row + 1] - 1) + 1

    def _row(self, row: int) -> Sequence[str]:
        record = self._text[self._starts[row] : self._starts[row + 1]].decode()
        return self._cells.tidy(next(csv.reader(io.StringIO(record, newline=""), strict=True)))

    def _settled(self, entries: Iterable[int]) -> Iterator[int]:
        """One entry for each address and, where it names several customers, one for each of the first two."""
        run: list[int] = []
        for entry in entries:
            if run and entry >> _ROW_BITS != run[0] >> _ROW_BITS:
                yield from self._told_apart(run) if len(run) > 1 else run
                run = []
            run.append(entry)
        yield from self._told_apart(run) if len(run) > 1 else run

    def _told_apart(self, run: list[int]) -> Iterator[int]:
        """Of entries that share a hash: addresses apart, and repetitions of one customer gone."""
        customers: dict[tuple[str, str], list[str]] = {}
        tier_of: dict[str, str] = {}
        told = set()
        hashed = run[0] & ~_ROW
        for entry in run:
            if entry in told:
                continue
            cells = self._row(entry & _ROW)
            customer_id, tier = self._cells.identity(cells)
            for kind, value in self._cells.addresses(cells):
                if pack(kind, value, 0) != hashed:
                    continue
                if kind == "customer_id" and tier_of.setdefault(customer_id, tier) != tier:
                    self.contradictory.append(entry & _ROW)
                named = customers.setdefault((kind, value), [])
                if customer_id in named:
                    continue
                named.append(customer_id)
                self.ambiguous += len(named) == 2
                if len(named) <= 2 and entry not in told:
                    told.add(entry)
                    yield entry
