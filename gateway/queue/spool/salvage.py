"""A spool file that is damaged: what can be read goes on in a new one, the old one is kept for somebody to look at."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from gateway.queue.spool.file import COLUMNS, SpoolFile

_BESIDE = ("-wal", "-shm")
_CHUNK = 500


def opened(path: Path, partitions: int) -> tuple[SpoolFile, bool]:
    """The file, and whether it had to be made anew. Raises sqlite3.OperationalError: the disk, not the file."""
    fresh = path.with_suffix(".salvaged")
    if fresh.exists() and not path.exists():
        fresh.rename(path)  # it was whole when the damaged one was set aside, and there we were interrupted
    try:
        return _with_room(path, partitions), False
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        _salvage(path, fresh, partitions)
        return SpoolFile(path, partitions), True


def _with_room(path: Path, partitions: int) -> SpoolFile:
    try:
        return SpoolFile(path, partitions)
    except sqlite3.OperationalError:
        ballast = path.with_suffix(".ballast")
        if not ballast.exists():
            raise
        ballast.unlink(missing_ok=True)  # a full disk lets nobody in otherwise
        return SpoolFile(path, partitions)


def _salvage(path: Path, fresh: Path, partitions: int) -> None:
    """Into a file of another name first: whenever this is interrupted, the next start does it again."""
    for name in ("", *_BESIDE):
        fresh.with_name(fresh.name + name).unlink(missing_ok=True)
    with closing(SpoolFile(fresh, partitions)) as file:
        for rows in _readable(path):
            file.take(rows, renumber=False)  # under their numbers: somebody may be publishing them
    fresh.with_suffix(".ballast").unlink(missing_ok=True)
    aside = path.with_suffix(f".damaged-{time.time_ns()}")
    for name in _BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + name).rename(aside.with_name(aside.name + name))
    path.rename(aside)
    fresh.rename(path)


def _readable(path: Path) -> Iterator[list[tuple[Any, ...]]]:
    """Up to the damage, and from the other end back to it."""
    last = 0
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as db:
        found = db.execute(f"SELECT seq, {COLUMNS} FROM entries NOT INDEXED ORDER BY seq")
        while rows := _some(found):
            last = rows[-1][0]
            yield rows
            if len(rows) < _CHUNK:
                break
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as db:
        found = db.execute(f"SELECT seq, {COLUMNS} FROM entries NOT INDEXED WHERE seq>? ORDER BY seq DESC", (last,))
        while rows := _some(found):
            yield rows
            if len(rows) < _CHUNK:
                break


def _some(found: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    with suppress(sqlite3.Error):  # what came before it is good
        while len(rows) < _CHUNK and (row := found.fetchone()) is not None:
            rows.append(row)
    return rows
