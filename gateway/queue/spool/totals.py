"""What waits in the spool, as another process sees it: read from the files, which are not touched."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

_PATIENCE = 1.0
"""Seconds to wait for a file that is locked; readers and the spool's own writer do not lock each other out."""


class SpooledTotal(NamedTuple):
    """Entries that wait on this machine, the room they take on disk, and when the oldest came (Unix time)."""

    entries: int
    bytes: int
    oldest_at: float | None


def spooled(folder: Path) -> SpooledTotal:
    """Of all processes together, those that are gone included. Blocking. Raises sqlite3.Error, OSError."""
    found = [total for path in sorted(folder.glob("spool-*.sqlite3")) if (total := _file(path)) is not None]
    return SpooledTotal(
        sum(total.entries for total in found),
        sum(total.bytes for total in found),
        min((total.oldest_at for total in found if total.oldest_at is not None), default=None),
    )


def _file(path: Path) -> SpooledTotal | None:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as file:
            file.execute("BEGIN")  # one moment for all four
            (entries,) = file.execute("SELECT count(*) FROM entries").fetchone()
            oldest = file.execute("SELECT spooled_at FROM entries ORDER BY seq LIMIT 1").fetchone()
            # Pages in use, not sum(size): that would read every entry, and an outage is no time for it.
            pages, free, size = (
                file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
            )
    except sqlite3.OperationalError as error:
        if not path.exists() or "no such table" in str(error):
            return None  # another process has just drained and removed it, or is about to make it
        raise
    return SpooledTotal(entries, (pages - free) * size if entries else 0, oldest[0] if oldest else None)
