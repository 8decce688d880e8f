"""Places in a spool folder: one per process, held by a lock that falls with its holder."""

import re
from pathlib import Path

from gateway.queue.locks import try_exclusive
from gateway.queue.spool.rows import SpoolUnavailable

_PLACES = 1024
_FILE = re.compile(r"spool-(\d+)\.sqlite3")


def place(folder: Path, number: int) -> Path:
    """The spool file of that place."""
    return folder / f"spool-{number}.sqlite3"


def hold(folder: Path, number: int) -> int | None:
    """The lock of a place, or None where a living process has it.

    It is on a file beside the spool's, which stays: SQLite has locks of its own on that.
    """
    return try_exclusive(folder / f"spool-{number}.lock")


def others(folder: Path, own: int) -> list[int]:
    """The places where a file stands, but for our own."""
    names = (_FILE.fullmatch(path.name) for path in folder.iterdir())
    return sorted(number for name in names if name and (number := int(name[1])) != own)


def claim(folder: Path) -> tuple[int, int]:
    """The first place that nobody has, and its lock."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(_PLACES):
        if (lock := hold(folder, number)) is not None:
            return number, lock
    raise SpoolUnavailable(f"{folder}: {_PLACES} processes share it already")
