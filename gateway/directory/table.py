"""A customer file, CSV or YAML, to rows that can be searched, with everything that is wrong and on which line."""

import csv
import io
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.directory import encodings, yaml_file
from gateway.directory.cells import COLUMNS, REQUIRED, Cells
from gateway.directory.options import DirectoryError, Encoding
from gateway.directory.rows import MOST_ROWS, Rows, pack

if TYPE_CHECKING:
    from _csv import Reader

MOST_FAULTS = 100
"""Told of one file: the rest are likely the same."""
_YAML = (".yaml", ".yml")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Table:
    """The rows of a file, and what is odd about them."""

    def __init__(self, rows: Rows, customers: int, notes: Sequence[str], lines: Sequence[int] | None = None) -> None:
        self.rows, self.customers, self.notes, self._lines = rows, customers, tuple(notes), lines

    def lines(self, kind: str, value: str) -> list[int]:
        """On which lines the customers of an address stand; a row of CSV counts where it ends, one of YAML begins."""
        rows = self.rows
        return [self._lines[row] if self._lines else rows.line(row) for row in rows.numbers(kind, value)]


def read(path: Path, *, tiers: Collection[str], encoding: Encoding = "utf-8") -> Table:
    """Raises DirectoryError with every fault as `file:line: column: what is wrong`; quotes no cell."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DirectoryError([f"{path}: cannot be read: {error.strerror}"]) from error
    text = _utf8(path, content, encoding)
    lines = None
    if path.suffix.lower() in _YAML:
        text, lines = yaml_file.to_csv(path, text)
    elif b"\n" not in text:
        text = text.replace(b"\r", b"\n")  # as old Macs, and Excel's "CSV (Macintosh)", end their lines
    return _Reading(path, text, tiers, lines).table()


class _Reading:
    """One pass over a text; `lines` says on which line of the file each row stands, where the text is made from it."""

    def __init__(self, path: Path, text: bytes, tiers: Collection[str], lines: Sequence[int] | None) -> None:
        self._path, self._text, self._tiers, self._lines = path, text, tiers, lines
        self._faults: list[str] = []
        self._end = 0
        """Where the last record that was read ends: the csv module takes as many lines as a record has."""

    def table(self) -> Table:
        reader = csv.reader(self._records(), strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            if faults := _header_faults(self._path, header):
                raise DirectoryError(faults)
            return self._body(reader, header)
        except csv.Error as error:
            raise DirectoryError([f"{self._path}:{reader.line_num}: cannot be read as CSV: {error}"]) from error

    def _body(self, reader: "Reader", header: Sequence[str]) -> Table:
        cells = Cells(header, self._tiers)
        starts, entries = array("Q", [self._end]), array("Q")
        width, number, customers, free = len(header), -1, 0, 0
        for record in reader:
            number += 1
            starts.append(self._end)
            if number >= MOST_ROWS:
                raise DirectoryError([f"{self._path}: has more than {MOST_ROWS} rows"])
            if not any(record):
                continue
            customers += 1
            row = cells.tidy(record)
            faults = ["more cells than the header has columns"] if len(record) > width else cells.faults(row)
            if faults:
                line = self._lines[number] if self._lines else reader.line_num
                self._blame(f"{self._path}:{line}: {what}" for what in faults)
            free += cells.free_domain(row)
            for kind, value in cells.addresses(row):
                entries.append(pack(kind, value, number))
        if self._faults:
            raise DirectoryError(self._faults)
        rows = Rows(self._text, starts, entries, cells)
        for number in rows.contradictory:
            line = self._lines[number] if self._lines else rows.line(number)
            self._blame([f"{self._path}:{line}: tier: this customer has another tier in an earlier line"])
        if self._faults:
            raise DirectoryError(self._faults)
        return Table(rows, customers, [*self._notes(rows, customers, free)], self._lines)

    def _records(self) -> Iterator[str]:
        for line in io.BytesIO(self._text):
            self._end += len(line)
            yield line.decode()

    def _blame(self, faults: Iterable[str]) -> None:
        self._faults.extend(faults)
        if len(self._faults) > MOST_FAULTS:
            raise DirectoryError([*self._faults[:MOST_FAULTS], f"{self._path}: and more faults after these"])

    def _notes(self, rows: Rows, customers: int, free: int) -> Iterator[str]:
        if rows.ambiguous:
            yield f"{self._path}: addresses that name several customers, and so give no tier: {rows.ambiguous}"
        if free:
            yield f"{self._path}: rows whose domain belongs to a free-mail provider, and so never matches: {free}"
        if not customers:
            yield f"{self._path}: names no customer"


def _utf8(path: Path, content: bytes, encoding: Encoding) -> bytes:
    """The text in UTF-8 without a byte order mark."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.startswith(_UTF16):
        raise DirectoryError([f"{path}: is UTF-16 (Excel: 'Unicode Text'): save it as 'CSV UTF-8'"])
    try:
        return encodings.to_utf8(content, encoding)
    except encodings.NotEncoded as error:
        advice = "save it as 'CSV UTF-8'"
        if encoding == "utf-8" and encodings.is_in(content, "cp949"):
            advice += ", or set `encoding: cp949` if it is a Korean export of Excel"
        raise DirectoryError([f"{path}:{error.line}: is not {encoding.upper()}: {advice}"]) from error


def _header_faults(path: Path, header: Sequence[str]) -> list[str]:
    if not any(header):
        return [f"{path}:1: is empty: the first line must name the columns, such as {','.join(COLUMNS[:5])}"]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        kind = "semicolons" if ";" in header[0] else "tabs"
        return [f"{path}:1: the columns are separated by {kind}: save the file with commas"]
    faults = [f"{path}:1: the column {name} is missing" for name in REQUIRED if name not in header]
    faults += [
        f"{path}:1: the column {name} is unknown" if name else f"{path}:1: column {place} has no name"
        for place, name in enumerate(header, start=1)
        if name not in COLUMNS
    ]
    faults += [f"{path}:1: the column {name} stands twice" for name in COLUMNS if header.count(name) > 1]
    return faults
