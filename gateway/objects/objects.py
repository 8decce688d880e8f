"""A content-addressed store: the same bytes are kept once, under a name that proves them."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias, TypeVar

import msgspec

from gateway.objects.folder import Folder
from gateway.objects.store import NoSuchObject, ObjectsUnavailable, Store

T = TypeVar("T")
Kind: TypeAlias = Literal["raw", "attachments", "payloads"]

TIMEOUT: Final = 10.0
"""Seconds until a store that says nothing counts as away."""
SLOWEST: Final = 1_000_000
"""Bytes a second it must take at least, beyond those."""
_THREAD_OVER = 256 * 1024
_INSIDE = re.compile(r"(?:raw|attachments|payloads)/[0-9a-f]{2}/[0-9a-f]{64}")


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Where a content is kept; `size` in bytes."""

    uri: str
    sha256: str
    size: int


class Objects:
    """The objects of one gateway, in a folder or any other store."""

    def __init__(self, store: Store | Path) -> None:
        self._store = Folder(store) if isinstance(store, Path) else store

    @classmethod
    def from_url(cls, url: str, options: Mapping[str, str] | None = None) -> Self:
        """`file://var/objects` is relative to the working directory, `file:///srv/objects` is not.

        `options` are those of the library for a bucket. Connects nowhere; raises ObjectsUnavailable.
        """
        if url.startswith("file://"):
            return cls(Path(url.removeprefix("file://")))
        from gateway.objects.remote import Remote  # the library takes 50 ms, for those who have a bucket

        return cls(Remote(url, options or {}))

    async def writable(self) -> bool:
        """Whether the store would take something now."""
        return await self._store.writable()

    async def put(self, content: bytes | Path, kind: Kind) -> Stored:
        """Durable when it returns; a file is read piece by piece, twice. Raises ObjectsUnavailable."""
        digest, size = await digest_of(content)
        path = _path(kind, digest)
        try:
            async with asyncio.timeout(TIMEOUT + size / SLOWEST):
                await self._store.put(path, content, size)
        except TimeoutError as error:
            raise ObjectsUnavailable("it does not answer") from error
        return Stored(uri=f"{self._store.base}/{path}", sha256=digest, size=size)

    async def get(self, uri: str) -> bytes:
        """The content of a `Stored.uri` of this store. Raises ObjectsUnavailable."""
        return b"".join([piece async for piece in self.stream(uri)])

    async def find(self, kind: Kind, digest: str) -> Stored:
        """What was put under this SHA-256. Raises NoSuchObject, or ObjectsUnavailable."""
        path = _path(kind, digest)
        size = await self._within(self._store.size(path))
        return Stored(uri=f"{self._store.base}/{path}", sha256=digest, size=size)

    async def stream(self, uri: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The content of a `Stored.uri` of this store in pieces, each in time. Raises ObjectsUnavailable."""
        inside = uri.removeprefix(f"{self._store.base}/")
        if inside == uri or not _INSIDE.fullmatch(inside):
            raise NoSuchObject("it is of another store")
        async with aclosing(self._store.read(inside, start, end)) as pieces:
            while (piece := await self._within(anext(pieces, None))) is not None:
                yield piece

    async def _within(self, asked: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await asked
        except TimeoutError as error:
            raise ObjectsUnavailable("it does not answer") from error


async def digest_of(content: bytes | Path) -> tuple[str, int]:
    """SHA-256 in hex, and size. Raises ObjectsUnavailable where a file cannot be read."""
    if isinstance(content, bytes) and len(content) < _THREAD_OVER:
        return sha256(content).hexdigest(), len(content)
    try:
        return await asyncio.to_thread(_digest_of, content)
    except OSError as error:
        raise ObjectsUnavailable(f"a file cannot be read: {error.strerror}") from error


def _digest_of(content: bytes | Path) -> tuple[str, int]:
    if isinstance(content, bytes):
        return sha256(content).hexdigest(), len(content)
    with content.open("rb") as file:
        return file_digest(file, "sha256").hexdigest(), file.tell()


def _path(kind: Kind, digest: str) -> str:
    return f"{kind}/{digest[:2]}/{digest}"
