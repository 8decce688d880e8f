"""Objects in a bucket: S3 and what speaks like it, Google Cloud Storage, Azure."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import from_url

from gateway.objects.store import NoSuchObject, ObjectsUnavailable

PART: Final = 5 * 1024 * 1024
"""Bytes of one part of a large upload; S3 takes none that are smaller."""
PARTS_AT_ONCE: Final = 2
UPLOADS_AT_ONCE: Final = 2
"""Of those that go in parts: each holds as much as its parts, and one more."""
PIECE: Final = 256 * 1024
PROBE: Final = "probe"
"""The empty object that shows whether the bucket takes anything."""
PROBE_EVERY: Final = 10.0
"""Seconds for which the answer is believed: whoever asks for readiness asks often, and requests cost."""
PROBE_TIMEOUT: Final = 2.0

_CLIENT: Final = {"connect_timeout": "3s", "timeout": "30s"}
_RETRY: Final[Any] = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=8),
    "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=1), "base": 2},
}
_FAULTS = (BaseError, OSError)
_GENERIC = re.compile(r"^Generic \w+ error: ")


class Remote:
    """One bucket, or what is below a prefix in it."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        client: Any = {**_CLIENT, "allow_http": options.get("endpoint", "").startswith("http://")}
        given: Any = dict(options)
        try:
            self._store = from_url(self._url, config=given, client_options=client, retry_config=_RETRY)
        except (BaseError, ValueError) as error:
            raise ObjectsUnavailable(_first_line(error, given.values())) from error
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._takes: tuple[float, bool] | None = None

    @property
    def base(self) -> str:
        """The bucket and prefix."""
        return self._url

    async def put(self, path: str, content: bytes | Path, size: int) -> None:
        """In one request, or for a large file in parts: those who stop in between leave parts, which the bucket's own
        rules have to expire."""
        try:
            if isinstance(content, Path) and size <= PART:
                content = await asyncio.to_thread(content.read_bytes)
            if isinstance(content, bytes) and await self._created(path, content):
                return
            # It is the same content under the same name, should two do so at once.
            async with nullcontext() if isinstance(content, bytes) else self._uploads:
                if not await self._has(path, size):
                    await self._store.put_async(path, content, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
        except _FAULTS as error:
            raise ObjectsUnavailable(_words(error)) from error

    async def _created(self, path: str, content: bytes) -> bool:
        """False where the store cannot be asked to create only, or says that somebody else did.

        That may be one who is still at it (S3: 409), and who may fail.
        """
        try:
            await self._store.put_async(path, content, mode="create")
        except (AlreadyExistsError, NotSupportedError, NotImplementedError):
            return False
        return True

    async def _has(self, path: str, size: int) -> bool:
        try:
            return (await self._store.head_async(path))["size"] == size
        except FileNotFoundError:
            return False

    async def size(self, path: str) -> int:
        """As the bucket says."""
        try:
            return (await self._store.head_async(path))["size"]
        except _FAULTS as error:
            raise _fault(error) from error

    async def read(self, path: str, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """The library resumes a body that breaks off."""
        span: Any = {"offset": start} if end is None else (start, end)
        try:
            found = await self._store.get_async(path, options={"range": span} if start or end is not None else None)
            async for piece in found.stream(min_chunk_size=PIECE):
                yield bytes(piece)
        except _FAULTS as error:
            raise _fault(error) from error

    async def writable(self) -> bool:
        """Found out by writing, now and then."""
        now = time.monotonic()
        if self._takes is None or now - self._takes[0] > PROBE_EVERY:
            try:
                async with asyncio.timeout(PROBE_TIMEOUT):
                    await self.probe()
                self._takes = now, True
            except (ObjectsUnavailable, TimeoutError):
                self._takes = now, False
        return self._takes[1]

    async def probe(self) -> None:
        """Writes the probe. Raises ObjectsUnavailable."""
        try:
            await self._store.put_async(PROBE, b"")
        except _FAULTS as error:
            raise ObjectsUnavailable(_words(error)) from error


def _fault(error: Exception) -> ObjectsUnavailable:
    if isinstance(error, FileNotFoundError):
        return NoSuchObject("there is no such object, or no such bucket")
    return ObjectsUnavailable(_words(error))


def _words(error: Exception) -> str:
    """The library's own words show addresses and keys, and pages of debugging."""
    match error:
        case FileNotFoundError():
            return "there is no such bucket"
        case PermissionDeniedError() | UnauthenticatedError():
            return "it refuses these credentials"
    return "it cannot be reached, or fails"


def _first_line(error: Exception, secrets: Iterable[str]) -> str:
    line = _GENERIC.sub("", str(error).partition("\n")[0])
    for secret in filter(None, secrets):
        line = line.replace(f'"{secret}"', "this value")
    return line
