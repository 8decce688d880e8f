"""A mail that is too large for memory, on the scratch disk. For threads: everything here waits for the disk."""

import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from uuid import uuid4

from channels.email.smtp.mending import Mender, mended


class ScratchFile:
    """Grows piece by piece; made at the first of them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"mail-{uuid4().hex}.eml"
        self.size = 0
        """Bytes of the message written so far."""
        self._mender = Mender()
        self._file: int | None = None
        self._removed = False
        self._lock = Lock()  # a session that is cancelled leaves its thread behind

    def append(self, piece: bytes, *, last: bool) -> None:
        """What came of the message next, as it was sent. Raises OSError."""
        with self._lock:
            if self._removed:
                return
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            for lines in mended(piece, self._mender, last=last):
                _write(self._file, lines)
                self.size += len(lines)
            if last:
                self._close()

    def head(self, size: int) -> bytes:
        """The first so many bytes. Raises OSError."""
        with self.path.open("rb") as file:
            return file.read(size)

    def remove(self) -> None:
        """Gone for good, whoever is still writing."""
        with self._lock, suppress(OSError):  # what stays goes with the scratch directory
            self._removed = True
            self._close()
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None
            os.close(descriptor)


def _write(file: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
