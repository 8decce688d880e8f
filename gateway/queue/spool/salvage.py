"""A spool file that is damaged: what can be read goes on in a new one, the old one is kept for somebody to look at."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from gateway.queue.spool.file import SpoolFile
from gateway.queue.spool.rows import COLUMNS, SCHEMA, Row, is_damage, is_sound

_BESIDE = ("-wal", "-shm")
_FURTHEST = 2**40
_MOST_FAULTS = 100_000
"""Ranges that cannot be read, after which the rest is given up: a few seconds."""


def opened(path: Path, partitions: int) -> tuple[SpoolFile, bool]:
    """The file, and whether it had to be made anew. Raises sqlite3.Error, OSError where the disk is at fault."""
    try:
        return _opened(path, partitions)
    except (sqlite3.Error, OSError):
        ballast = [*path.parent.glob("spool-*.ballast")]
        if not ballast:
            raise
        for one in ballast:  # a full disk lets nobody in otherwise
            one.unlink(missing_ok=True)
        return _opened(path, partitions)


def _opened(path: Path, partitions: int) -> tuple[SpoolFile, bool]:
    whole = path.with_suffix(".whole")
    interrupted = whole.exists()
    if interrupted:  # an earlier salvage, when all was read
        _replace(path, whole)
    try:
        return SpoolFile(path, partitions), interrupted
    except (sqlite3.Error, ValueError) as error:
        if not is_damage(error):
            raise
    _replace(path, _salvaged(path))
    return SpoolFile(path, partitions), True


def _salvaged(path: Path) -> Path:
    """What can be read, in a file of its own name that is trusted once it is whole."""
    fresh, whole = path.with_suffix(".salvaged"), path.with_suffix(".whole")
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(fresh, isolation_level=None)) as new, closing(_reading(path)) as old:
        new.execute("PRAGMA synchronous=FULL")  # and no write-ahead log: the closed file is all there is
        new.executescript(SCHEMA)
        new.execute("BEGIN")
        for row in _readable(old):
            if is_sound(row):
                _write(new, row)
        new.execute("COMMIT")
    fresh.rename(whole)
    _sync(path.parent)
    return whole


def _write(new: sqlite3.Connection, row: Row) -> None:
    places = ",".join("?" * len(row))
    try:
        # Under its number: somebody may be publishing it.
        new.execute(f"INSERT INTO entries(seq, {COLUMNS}) VALUES({places})", row)
    except sqlite3.IntegrityError:  # the number is what is damaged
        new.execute(f"INSERT INTO entries(seq, {COLUMNS}) VALUES({places})", (None, *row[1:]))


def _replace(path: Path, whole: Path) -> None:
    aside = path.with_suffix(f".damaged-{time.time_ns()}")
    for name in ("", *_BESIDE):  # the file first: from then on only the whole one counts
        with suppress(FileNotFoundError):
            path.with_name(path.name + name).rename(aside.with_name(aside.name + name))
    whole.rename(path)
    _sync(path.parent)


def _reading(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.text_factory = bytes  # what was turned into text by a flipped bit is no text
    return db


def _readable(db: sqlite3.Connection) -> Iterator[Row]:
    """Every row that can be read, range by range: around each fault the range is halved."""
    ranges, faults = [(0, _highest(db))], 0
    while ranges and faults < _MOST_FAULTS:
        low, high = ranges.pop()
        try:
            query = f"SELECT seq, {COLUMNS} FROM entries NOT INDEXED WHERE seq>? AND seq<=? ORDER BY seq"
            for row in db.execute(query, (low, high)):
                yield row
                low = row[0] if isinstance(row[0], int) else low
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            faults += 1
            if high - low > 1:
                middle = (low + high) // 2
                ranges += [(middle, high), (low, middle)]


def _highest(db: sqlite3.Connection) -> int:
    for query in ("SELECT max(seq) FROM entries", "SELECT max(seq) FROM entries INDEXED BY by_partition"):
        try:
            (highest,) = db.execute(query).fetchone()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        else:
            return highest if isinstance(highest, int) else 0
    return _FURTHEST


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
