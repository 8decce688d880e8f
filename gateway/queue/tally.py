"""What happened, counted in the process and kept on Redis by the hour, for the report of the morning."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import msgspec
from redis.exceptions import RedisError

from gateway.queue.connection.deployment import Deployment
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys
from gateway.queue.lua import Lua
from gateway.queue.recurring import AWAY, recurring

EVERY = 5.0
"""Seconds between two flushes: of so many a crash loses the counts, and only the counts."""
HOUR = timedelta(hours=1)
_SINCE = "counted_since"
_flush = Lua("tally.lua")

Counts = Mapping[str, int]
"""By field: words with `|` between them, the first of which says what is counted."""


def field(*words: str) -> str:
    """The name of a count. Only configured names and fixed words: their number must stay small."""
    return "|".join(words)


def hour_of(time: datetime) -> datetime:
    """The beginning of the hour, UTC."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _word(hour: datetime) -> str:
    return hour.strftime("%Y%m%d%H")


class Tally:
    """The counts of this process since they were taken last. Costs the path of a message a dictionary's update."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, field: str, by: int = 1) -> None:
        """Count."""
        counts = self._counts
        counts[field] = counts.get(field, 0) + by

    def take(self) -> Counts:
        """All that was counted; counting starts again at nothing."""
        counts, self._counts = self._counts, {}
        return counts


class Flushing:
    """Brings the counts to the first partition, each to the hour in which it was taken.

    While Redis is away they are kept: by field and hour, and for as many hours as Redis would keep them.
    """

    def __init__(
        self,
        tally: Tally,
        deployment: Deployment,
        keys: Keys,
        *,
        keep: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tally, self._deployment, self._keys, self._keep, self._clock = tally, deployment, keys, keep, clock
        self._waiting: dict[datetime, Counter[str]] = {}
        # Sent, and perhaps there: it must go again as it is, under the same number, and before anything else.
        self._doubtful: tuple[datetime, Counter[str]] | None = None
        self._who, self._number = secrets.token_hex(8), 0

    async def flush(self) -> None:
        """Once. What cannot be written waits for the next time. Raises QueueUnavailable, RedisError, OSError."""
        self._gather()
        try:
            while self._doubtful or self._waiting:
                if self._doubtful is None:
                    hour = min(self._waiting)
                    self._doubtful = hour, self._waiting.pop(hour)
                    self._number += 1
                await self._write(*self._doubtful)
                self._doubtful = None
        except AWAY:
            with suppress(*AWAY):
                await self._deployment.moved()
            raise

    @property
    def waiting(self) -> int:
        """How much was counted and is, as far as anybody can tell, not on Redis."""
        kept = (*self._waiting.values(), *([self._doubtful[1]] if self._doubtful else ()))
        return sum(counts.total() for counts in kept)

    def _gather(self) -> None:
        now = hour_of(self._clock())
        if counts := self._tally.take():
            self._waiting.setdefault(now, Counter()).update(counts)
        for hour in [hour for hour in self._waiting if hour < now - self._keep]:
            del self._waiting[hour]

    async def _write(self, hour: datetime, counts: Counter[str]) -> None:
        redis = await self._deployment.server(self._keys.seen)
        keep_ms = int((self._keep + HOUR) / timedelta(milliseconds=1))  # the whole hour in which a span begins
        pairs = (word for pair in counts.items() for word in pair)
        keys = [_key(self._keys, hour), self._keys.stats]
        await _flush(redis, keys, _word(hour), keep_ms, self._who, self._number, *pairs)


@asynccontextmanager
async def flushing(
    flush: Flushing,
    *,
    every: float = EVERY,
    within: float,
    on_state: Callable[[bool, str], None],
    on_lost: Callable[[int], None],
) -> AsyncIterator[None]:
    """Flush every so many seconds while entered, and a last time, `within` so many, when it is left."""
    # Whatever goes wrong with counting is said, and tried again: it must neither stop a gateway nor end unseen.
    work = recurring(flush.flush, every=every, expected=(Exception,), on_state=on_state)
    running = asyncio.create_task(work, name="tally")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})
        try:
            async with asyncio.timeout(within):
                await flush.flush()
        except Exception:  # as above: the stop goes on
            on_lost(flush.waiting)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What Redis has of a span of hours."""

    hours: Sequence[Counts]
    """One for each hour that was asked for; empty where nothing was counted."""
    since: datetime | None
    """The first hour that was ever counted."""


async def read(deployment: Deployment, keys: Keys, hours: Sequence[datetime]) -> Kept:
    """The counts of these hours. Raises QueueUnavailable."""
    try:
        redis = await deployment.server(keys.seen)
        async with redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.stats, _SINCE)
            for hour in hours:
                pipe.hgetall(_key(keys, hour))
            since, *kept = await pipe.execute()
    except (RedisError, OSError) as error:
        raise QueueUnavailable(type(error).__name__) from error
    return Kept(
        hours=[{name.decode(): int(count) for name, count in one.items()} for one in kept],
        since=datetime.strptime(since.decode(), "%Y%m%d%H").replace(tzinfo=UTC) if since else None,
    )


def _key(keys: Keys, hour: datetime) -> str:
    return f"{keys.stats}:{_word(hour)}"
