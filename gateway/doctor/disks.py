"""What the checks of folders share."""

import os
import shutil
import tempfile
from pathlib import Path


def trouble(folder: Path) -> str:
    """Why nothing can be written there, or nothing; one that is not there yet is judged by where it will be made."""
    here = existing(folder)
    if not here.is_dir():
        return "it is not a folder"
    if here != folder:
        return "" if os.access(here, os.W_OK | os.X_OK) else "it cannot be made"
    try:
        with tempfile.TemporaryFile(dir=here) as probe:  # asking for rights says yes on a disk that is read-only
            probe.write(b"\0")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def free(folder: Path) -> int:
    """Bytes of room on its disk. Raises OSError."""
    return shutil.disk_usage(existing(folder)).free


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
