"""How full the queue is: entries, groups, dead letters, seen marks and memory, in one cheap read per partition."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.queue.connection.deployment import Deployment
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import DEAD, Keys
from gateway.queue.lua import Lua

COUNTED = 5_000
"""Entries that are counted at most on either side of what a group was given last."""
_depths = Lua("depths.lua")


class GroupDepth(msgspec.Struct, frozen=True, kw_only=True):
    """What one consumer group has before it on the stream of one tier."""

    name: str
    pending: int
    """Given to a consumer and not acknowledged."""
    undelivered: int | None
    """Not given to anybody yet; None where it was not counted."""
    exact: bool
    """Or there are at least so many."""
    oldest_unread_seconds: float | None
    """Age of the oldest entry it has not acknowledged."""


class StreamDepth(msgspec.Struct, frozen=True, kw_only=True):
    """One tier."""

    tier: str
    entries: int
    longest: int
    """Entries on its longest stream: the same, unless there are several partitions."""
    oldest_unread_seconds: float | None
    """Age of the oldest entry that not every group has acknowledged; without a group, of the oldest."""
    groups: tuple[GroupDepth, ...]


class Depths(msgspec.Struct, frozen=True, kw_only=True):
    """One partition, or all of them together."""

    streams: tuple[StreamDepth, ...]
    dead_letters: int
    oldest_dead_letter_seconds: float | None
    seen_marks: int
    memory_bytes: int | None
    """Of the fullest server; None where it does not tell."""
    memory_max_bytes: int | None
    """0 is no limit."""


async def depths(deployment: Deployment, keys: Keys, tiers: Sequence[str], *, count: int = 0) -> Depths:
    """One partition. Undelivered entries are counted up to `count` (COUNTED is plenty), not at all by default.

    Raises QueueUnavailable.
    """
    try:
        redis = await deployment.server(keys.seen)
        names = [keys.seen, keys.stream(DEAD), *(keys.stream(tier) for tier in tiers)]
        seen, dead, oldest_dead, streams = await _depths(redis, names, count)
        used, most = await _memory(redis)
    except (RedisError, OSError) as error:
        raise QueueUnavailable(type(error).__name__) from error
    return Depths(
        streams=tuple(_stream(tier, stream) for tier, stream in zip(tiers, streams, strict=True)),
        dead_letters=dead,
        oldest_dead_letter_seconds=_seconds(oldest_dead),
        seen_marks=seen,
        memory_bytes=used,
        memory_max_bytes=most,
    )


async def queue_depths(
    deployment: Deployment, partitions: Sequence[Keys], tiers: Sequence[str], *, count: int = 0
) -> Depths:
    """All partitions together. Raises QueueUnavailable."""
    parts = [await depths(deployment, keys, tiers, count=count) for keys in partitions]
    fullest = max(parts, key=lambda part: (part.memory_bytes or 0) / (part.memory_max_bytes or float("inf")))
    return Depths(
        streams=tuple(_together(same) for same in zip(*(part.streams for part in parts), strict=True)),
        dead_letters=sum(part.dead_letters for part in parts),
        oldest_dead_letter_seconds=_oldest(part.oldest_dead_letter_seconds for part in parts),
        seen_marks=sum(part.seen_marks for part in parts),
        memory_bytes=fullest.memory_bytes,
        memory_max_bytes=fullest.memory_max_bytes,
    )


def _stream(tier: str, reply: tuple[int, int, list[tuple[bytes, int, int, int, int]]]) -> StreamDepth:
    entries, oldest, groups = reply
    return StreamDepth(
        tier=tier,
        entries=entries,
        longest=entries,
        oldest_unread_seconds=_seconds(oldest),
        groups=tuple(
            GroupDepth(
                name=name.decode(errors="replace"),
                pending=pending,
                undelivered=None if undelivered < 0 else undelivered,
                exact=bool(exact),
                oldest_unread_seconds=_seconds(unread),
            )
            for name, pending, undelivered, exact, unread in groups
        ),
    )


def _together(streams: Sequence[StreamDepth]) -> StreamDepth:
    groups = sorted((group for stream in streams for group in stream.groups), key=lambda group: group.name)
    return StreamDepth(
        tier=streams[0].tier,
        entries=sum(stream.entries for stream in streams),
        longest=max(stream.longest for stream in streams),
        oldest_unread_seconds=_oldest(stream.oldest_unread_seconds for stream in streams),
        groups=tuple(_one(list(same)) for _, same in groupby(groups, key=lambda group: group.name)),
    )


def _one(same: Sequence[GroupDepth]) -> GroupDepth:
    counted = [group.undelivered for group in same if group.undelivered is not None]
    return GroupDepth(
        name=same[0].name,
        pending=sum(group.pending for group in same),
        undelivered=sum(counted) if counted else None,
        exact=all(group.exact for group in same),
        oldest_unread_seconds=_oldest(group.oldest_unread_seconds for group in same),
    )


async def _memory(redis: Redis) -> tuple[int | None, int | None]:
    try:
        told = await redis.info("memory")
    except ResponseError:  # a user without the right to ask
        return None, None
    return told.get("used_memory"), told.get("maxmemory")


def _seconds(milliseconds: int) -> float | None:
    return None if milliseconds < 0 else milliseconds / 1000


def _oldest(ages: Iterable[float | None]) -> float | None:
    return max((age for age in ages if age is not None), default=None)
