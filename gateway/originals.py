"""A payload whose original waits on disk names it in `file`; its dead letter names where the object store keeps it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from channels.api import P
from gateway.objects import Objects


def place_of(payload: object) -> str | None:
    """Where its original is: a path, or what `named` said; None where the payload holds all there is."""
    place = getattr(payload, "file", None)
    return place if isinstance(place, str) else None


def named(payload: P, place: str) -> P:
    """With its original there and nothing of it in memory; unchanged where it cannot name one."""
    if not hasattr(payload, "file") or not hasattr(payload, "content"):
        return payload
    return cast(P, msgspec.structs.replace(cast(Any, payload), content=b"", file=place))


class Originals:
    """Brings originals back from the object store."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects, self._folder = objects, folder

    @asynccontextmanager
    async def back(self, payload: P) -> AsyncIterator[P]:
        """The payload with its original on this disk while entered. Raises ObjectsUnavailable, and OSError."""
        if (place := place_of(payload)) is None:
            yield payload
            return
        with tempfile.NamedTemporaryFile(dir=self._folder) as file:
            async for piece in self._objects.stream(place):
                await asyncio.to_thread(file.write, piece)
            file.flush()
            yield named(payload, file.name)
