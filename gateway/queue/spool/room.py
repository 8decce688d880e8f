"""Is there room for more: of what all spool files take together, and on the disk."""

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from gateway.queue.spool.totals import spooled

LOOK_AGAIN = 1.0
"""Seconds until what the files take is looked at again."""


@dataclass(frozen=True, kw_only=True)
class SpoolLimits:
    """In bytes: of all files in the folder, and of the room that is left to others on the disk."""

    max_bytes: int = 10**9
    min_free: int = 64 * 10**6


class Room:
    """Blocking: only the spool's own thread asks."""

    def __init__(self, folder: Path, limits: SpoolLimits) -> None:
        self._folder, self._limits = folder, limits
        self._used, self._look_again = 0, 0.0

    def refusal(self) -> str:
        """Why nothing more is taken; empty where there is room. Raises OSError."""
        if monotonic() > self._look_again:
            with suppress(sqlite3.Error):  # a neighbour's damaged file is the neighbour's
                self._used = spooled(self._folder).bytes
            self._look_again = monotonic() + LOOK_AGAIN
        if self._used >= self._limits.max_bytes:
            return "the spool is full"
        disk = os.statvfs(self._folder)
        return "the disk is nearly full" if disk.f_bavail * disk.f_frsize < self._limits.min_free else ""

    def taken(self, size: int) -> None:
        """So many bytes more."""
        self._used += size

    def given_back(self) -> None:
        """Look again at the next question."""
        self._look_again = 0.0
