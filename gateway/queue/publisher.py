"""Group commit: whatever waits while a round trip is in flight goes out together in the next script call."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from hashlib import sha1
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

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


_Waiting = tuple[Entry, asyncio.Future[Published]]
_Batch = list[_Waiting]
_LOST = (RedisConnectionError, RedisTimeoutError, OSError)
_NOBODY = (
    "OOM",
    "READONLY",
    "LOADING",
    "MISCONF",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOREPLICAS",
    "NOAUTH",
    "NOPERM",
    "BUSY",
)
"""Errors of a server that takes nothing from anybody; inside a script Redis 6.2 says them somewhere in the text."""


class Publisher:
    """Publishes entries of one partition, in order of arrival, one script call at a time.

    `max_bytes` bounds a batch; `max_waiting` and `max_waiting_bytes` the waiting room: over that an entry is
    refused at once. Two time-outs of the client bound how long anybody waits for a server that does not answer.
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
        max_waiting_bytes: int = 128 * 2**20,
        on_batch: Callable[[int, float], None] = lambda size, seconds: None,
        on_link: Callable[[bool, str], None] = lambda up, why: None,
    ) -> None:
        self._redis = redis
        streams = (*tiers, DEAD)
        self._number = {stream: n for n, stream in enumerate(streams, 1)}
        self._keys = (keys.seen, keys.stats, *(keys.stream(stream) for stream in streams))
        self._max_batch, self._max_bytes, self._max_waiting = max_batch, max_bytes, max_waiting
        self._max_waiting_bytes, self._waiting_bytes = max_waiting_bytes, 0
        self._on_batch, self._on_link = on_batch, on_link
        self._waiting: deque[_Waiting] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._up = True

    async def publish(self, entry: Entry) -> Published:
        """Return once the entry is durably on its stream, or was before. Raises QueueUnavailable."""
        if len(self._waiting) >= self._max_waiting or self._waiting_bytes > self._max_waiting_bytes:
            raise QueueUnavailable("the waiting room is full")
        answer: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, answer))
        self._waiting_bytes += entry.size
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all(), name="publisher")
        return await answer

    @property
    def up(self) -> bool:
        """Whether Redis took what it was last given."""
        return self._up

    async def probe(self) -> bool:
        """Whether Redis takes a write now; PING would say yes while it is full or read-only."""
        try:
            await self._redis.hincrby(self._keys[1], "probes", 1)
        except (RedisError, OSError) as error:
            await self._failed(error)
        else:
            self._link(True, "")
        return self._up

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

    def _next_batch(self) -> _Batch:
        batch = [self._waiting.popleft()]
        size = batch[0][0].size
        while self._waiting and len(batch) < self._max_batch:
            if size + self._waiting[0][0].size > self._max_bytes:
                break
            size += self._waiting[0][0].size
            batch.append(self._waiting.popleft())
        self._waiting_bytes -= size
        return batch

    async def _commit(self, batch: _Batch) -> None:
        began = perf_counter()
        try:
            results = await self._results([entry for entry, _ in batch])
        except Exception as error:  # whatever it is, every waiter must hear of it or they wait for ever
            await self._failed(error)
            away = QueueUnavailable(type(error).__name__)
            # Those who wait would each wait out another time-out.
            batch, self._waiting, self._waiting_bytes = [*batch, *self._waiting], deque(), 0
            results = [away] * len(batch)
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

    async def _results(self, entries: Sequence[Entry]) -> list[Published | QueueUnavailable]:
        """Each entry's own result. Raises what says that the whole server is away."""
        try:
            return [_ANSWERS[answer] for answer in await self._call(entries)]
        except _LOST:
            # The answer may have been lost after the write: nobody must hear "send it again" of what was kept.
            # What is a duplicate now was, as far as anybody can tell, written by that first call.
            again = [_ANSWERS[answer] for answer in await self._call(entries)]
            return [Published.NEW if one is Published.DUPLICATE else one for one in again]
        except ResponseError as error:
            if len(entries) == 1 or any(word in str(error) for word in _NOBODY):
                raise
        # One entry's stream is at fault, not the server: the others must not suffer.
        results: list[Published | QueueUnavailable] = []
        for entry in entries:
            try:
                results.append(_ANSWERS[(await self._call([entry]))[0]])
            except ResponseError as error:
                results.append(QueueUnavailable(type(error).__name__))
        return results

    async def _call(self, entries: Sequence[Entry]) -> list[int]:
        # One packed argument: the client's own encoding of a dozen arguments per entry costs more than all the rest.
        command: tuple[Any, ...] = (len(self._keys), *self._keys, _pack([self._packable(entry) for entry in entries]))
        try:
            return cast("list[int]", await self._redis.evalsha(_SHA, *command))
        except NoScriptError:
            return cast("list[int]", await self._redis.eval(_SCRIPT, *command))

    async def _failed(self, error: Exception) -> None:
        self._link(False, type(error).__name__)
        # After a failover the old address may answer READONLY for ever: look the name up again.
        with suppress(RedisError, OSError):
            await self._redis.connection_pool.disconnect()

    def _packable(self, entry: Entry) -> tuple[object, ...]:
        fields = [_str(field) if type(field) is bytes else field for field in entry.fields]
        return self._number[entry.stream], _str(entry.mark), entry.keep_ms, _str(entry.fingerprint), fields

    def _link(self, up: bool, why: str) -> None:
        if up is not self._up:
            self._up = up
            self._on_link(up, why)


def _str(value: bytes) -> msgspec.Raw:
    """MessagePack str 32 of any bytes: Redis's cmsgpack does not know the bin type."""
    return msgspec.Raw(b"\xdb" + len(value).to_bytes(4, "big") + value)
