"""Objects in a folder of this machine, or one that is mounted like it."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from gateway.objects.store import NoSuchObject, ObjectsUnavailable

PIECE: Final = 256 * 1024
_ARRIVING = "arriving"
_ABANDONED: Final = 24 * 3600.0
"""Seconds after which a file that is still not whole was left by a process that died."""


class Folder:
    """Every file is whole and fsynced before it has its name: a power cut leaves no empty one under a good name."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._synced: set[Path] = set()
        self._swept = False
        try:
            _make(self._root)
        except OSError as error:
            raise ObjectsUnavailable(f"{root}: {error.strerror}") from error

    @property
    def base(self) -> str:
        """The folder as a URL."""
        return self._root.as_uri()

    async def put(self, path: str, content: bytes | Path, size: int) -> None:
        """A file of another size under that name is damaged, and replaced."""
        try:
            await asyncio.to_thread(self._put, self._root / path, content, size)
        except OSError as error:
            raise ObjectsUnavailable(_words(error)) from error

    async def size(self, path: str) -> int:
        """As the disk says."""
        try:
            return (await asyncio.to_thread((self._root / path).stat)).st_size
        except OSError as error:
            raise _fault(error) from error

    async def read(self, path: str, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """In threads, as the disk may be slow."""
        try:
            at = start
            while piece := await asyncio.to_thread(_piece, self._root / path, at, end):
                at += len(piece)
                yield piece
        except OSError as error:
            raise _fault(error) from error

    async def writable(self) -> bool:
        """Whether the directory is there and ours to write."""
        return self._root.is_dir() and os.access(self._root, os.W_OK)

    def _put(self, path: Path, content: bytes | Path, size: int) -> None:
        if _is_whole(path, size):
            _fsync(path)  # another process may have written it, and died
        else:
            if not self._swept:
                _make(self._root / _ARRIVING)
                _sweep(self._root / _ARRIVING)
                self._swept = True
            _make(path.parent.parent)
            _make(path.parent)
            arriving = self._root / _ARRIVING / uuid4().hex
            try:
                _write(arriving, content)
                arriving.replace(path)
            finally:
                arriving.unlink(missing_ok=True)
        self._sync(path.parent)

    def _sync(self, folder: Path) -> None:
        """The name, too, has to outlive a power cut."""
        _fsync(folder)
        if folder not in self._synced:
            _fsync(folder.parent)
            _fsync(self._root)
            self._synced.add(folder)


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # customers' mail is nobody else's


def _is_whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _write(path: Path, content: bytes | Path) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            with content.open("rb") as source:
                shutil.copyfileobj(source, file, PIECE)
        file.flush()
        os.fsync(file.fileno())


def _piece(path: Path, at: int, end: int | None) -> bytes:
    with path.open("rb") as file:  # anew each time: one who is cancelled leaves no file open
        file.seek(at)
        return file.read(PIECE if end is None else min(PIECE, end - at))


def _sweep(folder: Path) -> None:
    latest = time.time() - _ABANDONED
    for left in folder.iterdir():
        with suppress(OSError):  # another process sweeps, too
            if left.stat().st_mtime < latest:
                left.unlink()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(error: OSError) -> ObjectsUnavailable:
    return (NoSuchObject if isinstance(error, FileNotFoundError) else ObjectsUnavailable)(_words(error))


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
