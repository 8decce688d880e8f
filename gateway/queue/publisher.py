"""Group commit: whatever waits while a round trip is in flight goes out together in the next script call."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from hashlib import sha1
from pathlib import Path
from time import perf_counter, time
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from gateway.queue.connection import QueueUnavailable
from gateway.queue.keys import DEAD, Keys

_SCRIPT = (Path(__file__).parent / "publish.lua").read_text(encoding="utf-8")
_pack = msgspec.msgpack.Encoder().encode
_SHA = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One stream entry to be. `fields` alternates names and values; `keep_ms` is how long the mark stays."""

    stream: str
    mark: bytes
    fingerprint: bytes = b""
    keep_ms: int
    fields: tuple[bytes | str, ...]
    size: int


class Published(Enum):
    """What became of an entry."""

    NEW = 1
    DUPLICATE = 0
    CONFLICT = -1


_ANSWERS = {published.value: published for published in Published}


class Publisher:
    """Publishes entries of one partition, in order of arrival, one script call at a time.

    `max_bytes` bounds a batch, `max_waiting` the waiting room: over that an entry is refused at once.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        tiers: Sequence[str],
        *,
        max_batch: int = 256,
        max_bytes: int = 4 * 2**20,
        max_waiting: int = 20_000,
        on_batch: Callable[[int, float], None] = lambda size, seconds: None,
        on_link: Callable[[bool, str], None] = lambda up, why: None,
    ) -> None:
        self._redis = redis
        streams = (*tiers, DEAD)
        self._number = {stream: n for n, stream in enumerate(streams, 1)}
        self._keys = (keys.seen, keys.stats, *(keys.stream(stream) for stream in streams))
        self._max_batch, self._max_bytes, self._max_waiting = max_batch, max_bytes, max_waiting
        self._on_batch, self._on_link = on_batch, on_link
        self._waiting: deque[tuple[Entry, asyncio.Future[Published]]] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._up = True

    async def publish(self, entry: Entry) -> Published:
        """Return once the entry is durably on its stream, or was before. Raises QueueUnavailable."""
        if len(self._waiting) >= self._max_waiting:
            raise QueueUnavailable("the waiting room is full")
        answer: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, answer))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all(), name="publisher")
        return await answer

    async def ping(self) -> bool:
        """Whether Redis answers now."""
        try:
            return bool(await self._redis.ping())
        except (RedisError, OSError):
            return False

    async def close(self) -> None:
        """Wait for what is in hand."""
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                await self._commit(self._next_batch())
        finally:
            self._committing = None

    def _next_batch(self) -> list[tuple[Entry, asyncio.Future[Published]]]:
        batch = [self._waiting.popleft()]
        size = batch[0][0].size
        while self._waiting and len(batch) < self._max_batch:
            size += self._waiting[0][0].size
            if size > self._max_bytes:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, batch: list[tuple[Entry, asyncio.Future[Published]]]) -> None:
        began = perf_counter()
        try:
            answers = await self._call([entry for entry, _ in batch])
            results: list[Published | QueueUnavailable] = [_ANSWERS[answer] for answer in answers]
        except Exception as error:  # whatever it is, every waiter must hear of it or they wait for ever
            self._link(False, type(error).__name__)
            results = [QueueUnavailable(type(error).__name__) for _ in batch]
        else:
            self._link(True, "")
            self._on_batch(len(batch), perf_counter() - began)
        for (_, answer), result in zip(batch, results, strict=True):
            if answer.done():  # its waiter was cancelled; the entry is on the stream all the same
                continue
            if isinstance(result, Published):
                answer.set_result(result)
            else:
                answer.set_exception(result)

    async def _call(self, entries: Sequence[Entry]) -> list[int]:
        now = int(time() * 1000)
        # One packed argument: the client's own encoding of a dozen arguments per entry costs more than all the rest.
        packed = _pack([self._packable(entry, now) for entry in entries])
        command: tuple[Any, ...] = (len(self._keys), *self._keys, now, packed)
        try:
            return cast("list[int]", await self._redis.evalsha(_SHA, *command))
        except NoScriptError:
            return cast("list[int]", await self._redis.eval(_SCRIPT, *command))

    def _packable(self, entry: Entry, now: int) -> tuple[object, ...]:
        fields = [_str(field) if type(field) is bytes else field for field in entry.fields]
        return self._number[entry.stream], _str(entry.mark), now + entry.keep_ms, _str(entry.fingerprint), fields

    def _link(self, up: bool, why: str) -> None:
        if up is not self._up:
            self._up = up
            self._on_link(up, why)


def _str(value: bytes) -> msgspec.Raw:
    """MessagePack str 32 of any bytes: Redis's cmsgpack does not know the bin type."""
    return msgspec.Raw(b"\xdb" + len(value).to_bytes(4, "big") + value)
