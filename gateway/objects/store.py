"""What a place has to do to keep objects."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol


class ObjectsUnavailable(Exception):
    """The store did not take or give the content; the message is fixed words of ours."""


class NoSuchObject(ObjectsUnavailable):
    """The store was asked, and has nothing of that name."""


class Store(Protocol):
    """A folder or a bucket. Every method raises ObjectsUnavailable; `path` is `kind/ab/abcd…`."""

    @property
    def base(self) -> str:
        """The URL that every path is below, without a trailing slash."""
        ...

    async def put(self, path: str, content: bytes | Path, size: int) -> None:
        """Durable when it returns; what has that name already is left alone. A file is never in memory whole."""
        ...

    async def size(self, path: str) -> int:
        """In bytes. Raises NoSuchObject."""
        ...

    def read(self, path: str, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """Pieces from byte `start` up to and without `end`. Raises NoSuchObject."""
        ...

    async def writable(self) -> bool:
        """Whether it would take something now; never raises."""
        ...
