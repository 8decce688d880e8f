"""Reading envelopes without consuming them: no group, no acknowledgement, no trace left."""

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import msgspec

from gateway.queue.connection.deployment import Deployment
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys
from gateway.queue.recurring import AWAY, stop_if_cancelled

_PAGE = 100
"""Entries fetched at once: of the largest, some 25 MB."""
_BLOCK_MS = 500
"""How long a read waits for more; the deployment's time-out must be longer, or silence is taken for a dead link."""
_SHORTEST, _LONGEST = 0.1, 2.0
"""Seconds between two tries while the server is away."""

_Entries = list[tuple[bytes, dict[bytes, bytes]]]


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as it stands on a stream; `fields` as docs/envelope.md names them, `event` the CloudEvent's JSON."""

    entry_id: str
    tier: str
    fields: dict[str, str]


Wanted = Callable[[StreamEntry], bool]


class _Place:
    """One stream, and the last entry of it that was fetched."""

    def __init__(self, keys: Keys, tier: str) -> None:
        self.keys, self.tier, self.name = keys, tier, keys.stream(tier).encode()
        self.last = b"0-0"

    def entry(self, entry_id: bytes, fields: dict[bytes, bytes]) -> StreamEntry:
        return StreamEntry(
            entry_id=entry_id.decode(),
            tier=self.tier,
            fields={key.decode(errors="replace"): value.decode(errors="replace") for key, value in fields.items()},
        )


async def read(
    deployment: Deployment,
    partitions: Sequence[Keys],
    tiers: Sequence[str],
    *,
    most: int,
    since: timedelta | None = None,
    wanted: Wanted = lambda entry: True,
    follow: bool = False,
    on_link: Callable[[bool, str], None] = lambda up, why: None,
) -> AsyncGenerator[StreamEntry, None]:
    """The newest `most` entries that are wanted, oldest first; with `follow`, then each as it comes, for ever.

    Raises QueueUnavailable at the start; later a server that is away is waited for, and `on_link` hears of it.
    """
    places = [[_Place(keys, tier) for tier in tiers] for keys in partitions]
    found: list[StreamEntry] = []
    try:
        for place in (place for part in places for place in part):
            found += await _newest(deployment, place, most, since, wanted)
    except AWAY as error:
        raise QueueUnavailable(type(error).__name__) from error
    for entry in heapq.nlargest(most, found, key=_order)[::-1]:
        yield entry
    if follow:
        async for entry in _follow(deployment, places, on_link):
            if wanted(entry):
                yield entry


async def _newest(
    deployment: Deployment, place: _Place, most: int, since: timedelta | None, wanted: Wanted
) -> list[StreamEntry]:
    redis = await deployment.server(place.keys.seen)
    oldest, newest = b"-", b"+"
    if since is not None:
        seconds, micros = await redis.time()  # the server's clock made the ids
        oldest = place.last = b"%d-0" % max(seconds * 1000 + micros // 1000 - since // timedelta(milliseconds=1), 0)
    found: list[StreamEntry] = []
    while len(found) < most:
        page = cast("_Entries", await redis.xrevrange(place.name, max=newest, min=oldest, count=_PAGE))
        if page and newest == b"+":
            place.last = page[0][0]
        found += [entry for entry in (place.entry(*one) for one in page) if wanted(entry)]
        if len(page) < _PAGE:
            break
        newest = b"(" + page[-1][0]
    return found[:most]


async def _follow(
    deployment: Deployment, places: Sequence[Sequence[_Place]], on_link: Callable[[bool, str], None]
) -> AsyncGenerator[StreamEntry, None]:
    # Partitions may be on several servers, so each is asked by itself, in turn.
    block = max(_BLOCK_MS // len(places), 1)
    away: set[int] = set()
    pause = _SHORTEST
    while True:
        for number, part in enumerate(places):
            stop_if_cancelled()
            try:
                entries = await _more(deployment, part, block)
            except AWAY as error:
                if not away:
                    on_link(False, type(error).__name__)
                away.add(number)
                with suppress(*AWAY):
                    await deployment.moved()
                continue
            if number in away:
                away.remove(number)
                if not away:
                    on_link(True, "")
            for entry in entries:
                yield entry
        if len(away) == len(places):
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST)
        else:
            pause = _SHORTEST


async def _more(deployment: Deployment, part: Sequence[_Place], block: int) -> list[StreamEntry]:
    redis = await deployment.server(part[0].keys.seen)
    by_name = {place.name: place for place in part}
    last: dict[Any, Any] = {place.name: place.last for place in part}
    answer = cast("list[tuple[bytes, _Entries]]", await redis.xread(last, count=_PAGE, block=block) or [])
    found = []
    for name, entries in answer:
        place = by_name[name]
        found += [place.entry(*one) for one in entries]
        place.last = entries[-1][0]
    return found


def _order(entry: StreamEntry) -> tuple[int, ...]:
    return tuple(int(part) for part in entry.entry_id.split("-"))
