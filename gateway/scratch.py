"""The scratch disk: what is too large to be held in memory waits there, and nothing on it outlives its process."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.queue.locks import try_exclusive

_PREFIX = "scratch-"
_LOCK = "lock"


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A directory of this process's own below `folder`; what dead processes left is removed. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob(f"{_PREFIX}*"):
        _remove_if_dead(left)
    ours, lock = _made(folder)
    try:
        yield ours
    finally:
        shutil.rmtree(ours, ignore_errors=True)
        os.close(lock)


def _made(folder: Path) -> tuple[Path, int]:
    """Locked. Who starts at the same moment may take it for a dead one's as long as it is not: then another."""
    while True:
        ours = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        with suppress(FileNotFoundError):
            lock = try_exclusive(ours / _LOCK)
            if lock is not None:
                if _is_there(ours / _LOCK, lock):
                    return ours, lock
                os.close(lock)


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_if_dead(left: Path) -> None:
    try:
        lock = try_exclusive(left / _LOCK)
    except OSError:
        return  # gone, or not ours
    if lock is None:
        return
    try:
        shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(lock)
