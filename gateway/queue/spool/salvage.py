"""A spool file that is damaged: it is set aside for somebody to look at, and what can still be read goes on."""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from gateway.queue.spool.file import COLUMNS, SpoolFile


def opened(path: Path, partitions: int) -> tuple[SpoolFile, bool]:
    """The file, and whether it had to be begun anew. Raises sqlite3.OperationalError: the disk, not the file."""
    try:
        return SpoolFile(path, partitions), False
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        aside = path.with_suffix(f".damaged-{time.time_ns()}")
        path.rename(aside)
        for beside in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + beside).rename(aside.with_name(aside.name + beside))
        file = SpoolFile(path, partitions)
        file.take(_readable(aside))
        return file, True


def _readable(path: Path) -> list[tuple[Any, ...]]:
    """From both ends up to the damage."""
    rows: dict[int, tuple[Any, ...]] = {}
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as db:
            for row in db.execute(f"SELECT seq, {COLUMNS} FROM entries NOT INDEXED ORDER BY seq {order}"):
                if row[0] in rows:
                    break
                rows[row[0]] = row
    return [row for _, row in sorted(rows.items())]
