"""Reading envelopes without consuming them: no group, no acknowledgement, no trace left."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.queue.connection import QueueUnavailable
from gateway.queue.keys import Keys

_Entries = list[tuple[bytes, dict[bytes, bytes]]]


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as it stands on a stream; `fields` as CONTRACT names them, `event` the CloudEvent's JSON."""

    entry_id: str
    tier: str
    fields: dict[str, str]


async def read(
    redis: Redis, keys: Keys, tiers: Sequence[str], *, follow: bool, most: int
) -> AsyncIterator[StreamEntry]:
    """The newest `most` entries of the tiers, oldest first; with `follow`, then each as it comes, for ever.

    Raises QueueUnavailable.
    """
    try:
        async for entry in _read(redis, keys, tiers, follow, most):
            yield entry
    except (RedisError, OSError) as error:
        raise QueueUnavailable(type(error).__name__) from error


async def _read(redis: Redis, keys: Keys, tiers: Sequence[str], follow: bool, most: int) -> AsyncIterator[StreamEntry]:
    names = {keys.stream(tier).encode(): tier for tier in tiers}
    last: dict[bytes, bytes] = {}
    found: list[tuple[bytes, StreamEntry]] = []
    for name, tier in names.items():
        newest = cast("_Entries", await redis.xrevrange(name, count=most))
        last[name] = newest[0][0] if newest else b"0-0"
        found += [(entry_id, _entry(tier, entry_id, fields)) for entry_id, fields in newest]
    found.sort(key=lambda pair: tuple(int(part) for part in pair[0].split(b"-")))
    for _, entry in found[-most:]:
        yield entry
    while follow:
        # The block is shorter than the client's time-out: silence is not a dead link.
        answer = await redis.xread(cast("dict[Any, Any]", last), count=100, block=500)
        for name, entries in cast("list[tuple[bytes, _Entries]]", answer or []):
            for entry_id, fields in entries:
                last[name] = entry_id
                yield _entry(names[name], entry_id, fields)


def _entry(tier: str, entry_id: bytes, fields: dict[bytes, bytes]) -> StreamEntry:
    return StreamEntry(
        entry_id=entry_id.decode(),
        tier=tier,
        fields={key.decode(): value.decode(errors="replace") for key, value in fields.items()},
    )
