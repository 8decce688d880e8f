"""What a payload keeps on the scratch disk, as if it were in memory. Imports little: workers import it."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

P = TypeVar("P")


@contextmanager
def mapped(payload: P) -> Iterator[P]:
    """With its `file` mapped into memory as its `content`: what is never looked at is never read. Raises OSError.

    Searching, slicing and matching are all that may be done to such a content; a map takes them like bytes.
    """
    place = getattr(payload, "file", None)
    if place is None:
        yield payload
        return
    with Path(place).open("rb") as file:
        if not file.seek(0, 2):  # nothing cannot be mapped
            yield payload
            return
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield cast(P, msgspec.structs.replace(cast(Any, payload), content=content))
        finally:
            with suppress(BufferError):  # somebody still looks at it: it goes with the last look
                content.close()
