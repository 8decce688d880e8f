"""The object store: raw originals, attachments and large dead letters, named by their content."""

import asyncio
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

_THREAD_OVER = 256 * 1024


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Where a content is kept; `size` in bytes."""

    uri: str
    sha256: str
    size: int


class ObjectsUnavailable(Exception):
    """The store did not take or give the content."""


class Objects:
    """A content-addressed store below one directory: the same bytes are stored once."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._synced: set[Path] = set()
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)  # customers' mail is nobody else's
            self._store = LocalStore(self._root)
        except (BaseError, OSError) as error:
            raise ObjectsUnavailable(f"{root}: {error}") from error

    @classmethod
    def from_url(cls, url: str) -> "Objects":
        """`file://var/objects` is relative to the working directory, `file:///srv/objects` is not."""
        return cls(Path(url.removeprefix("file://")))

    async def writable(self) -> bool:
        """Whether the directory is there and ours to write."""
        return self._root.is_dir() and os.access(self._root, os.W_OK)

    async def put(self, content: bytes | Path, kind: Literal["raw", "attachments", "payloads"]) -> Stored:
        """Durable when it returns. Raises ObjectsUnavailable."""
        if isinstance(content, Path):
            content = await asyncio.to_thread(content.read_bytes)
        digest = sha256(content) if len(content) < _THREAD_OVER else await asyncio.to_thread(sha256, content)
        name = digest.hexdigest()
        path = f"{kind}/{name[:2]}/{name}"
        try:
            with suppress(AlreadyExistsError):  # never a new file over one that somebody was promised
                await self._store.put_async(path, content, mode="create")
            await asyncio.to_thread(self._sync, self._root / path)
        except (BaseError, OSError) as error:
            raise ObjectsUnavailable(type(error).__name__) from error
        return Stored(uri=f"{self._root.as_uri()}/{path}", sha256=name, size=len(content))

    async def get(self, uri: str) -> bytes:
        """The content of a `Stored.uri` of this store. Raises ObjectsUnavailable."""
        inside = uri.removeprefix(f"{self._root.as_uri()}/")
        if inside == uri:
            raise ObjectsUnavailable("it is of another store")
        try:
            return bytes(await (await self._store.get_async(inside)).bytes_async())
        except (BaseError, OSError) as error:
            raise ObjectsUnavailable(type(error).__name__) from error

    def _sync(self, path: Path) -> None:
        """The library does not fsync: a power cut would leave an empty file, or none in a new directory."""
        _fsync(path)
        _fsync(path.parent)
        if path.parent not in self._synced:
            _fsync(path.parent.parent)
            _fsync(self._root)
            self._synced.add(path.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
