"""Who holds a server's directory, and who uses it: locks the kernel drops when their process is gone."""

import asyncio
import os
import sys
from pathlib import Path
from time import monotonic

from gateway.queue.embedded.binary import EmbeddedError

if sys.platform != "win32":  # find_binary has refused there before any lock is asked for
    import fcntl

POLL = 0.005


def try_exclusive(path: Path) -> int | None:
    """A file descriptor that holds the lock, or None where somebody else has it."""
    return _try(path, fcntl.LOCK_EX)


async def share(path: Path, patience: float) -> int:
    """Hold the lock beside others; raises EmbeddedError where one has it alone for `patience` seconds."""
    deadline = monotonic() + patience
    while (lock := _try(path, fcntl.LOCK_SH)) is None:
        if monotonic() > deadline:
            raise EmbeddedError(f"another gateway has been stopping the server in {path.parent} for {patience:g} s")
        await asyncio.sleep(POLL)
    return lock


def alone(lock: int) -> bool:
    """Give up a share; true where nobody else has one, and then the lock is held exclusively."""
    # Of those who leave at once the last to ask gets it: the others have let go of theirs by then.
    fcntl.flock(lock, fcntl.LOCK_UN)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_holder(lock: int, port: int, pid: int = 0) -> None:
    """Leave word in the locked file of who holds it."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{port} {pid}\n".encode(), 0)


def read_holder(path: Path) -> tuple[int, int]:
    """Port and pid last written, 0 where not yet known; they may be of an earlier holder."""
    try:
        port, pid = map(int, path.read_text().split())
    except ValueError:
        return 0, 0
    return port, pid


def _try(path: Path, how: int) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    return lock
