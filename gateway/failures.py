"""An exception as it is told: its place to everybody, what it says to the operator alone."""

import traceback
from pathlib import Path

from normalizers.message import Malformed

_LONGEST = 8 * 1024


class FailedElsewhere(Exception):
    """An exception of another process: `place` and `account` as they read there."""

    def __init__(self, place: str, account: str) -> None:
        super().__init__(place)
        self.place, self.account = place, account


def place(error: Exception) -> str:
    """Type and place: the text of an exception may quote the customer."""
    if isinstance(error, FailedElsewhere):
        return error.place
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}"


def account(error: Exception) -> str:
    """A letter's `error`: the first line is `place`, fit for any eyes; what the exception says stands below it."""
    if isinstance(error, FailedElsewhere):
        said = error.account.removeprefix(f"{error.place}\n")
    elif isinstance(error, Malformed):
        said = str(error)
    else:
        said = "".join(traceback.format_exception(error, limit=-8))
    return f"{place(error)}\n{said}"[:_LONGEST]
