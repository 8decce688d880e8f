"""The DNS as the checks see it: remembered, never asked the same twice at once, never waited for where it is dead."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from channels.email.authentication.names import special
from channels.email.authentication.nameservers import Found, Source
from channels.email.authentication.resolver import Kind, Silent, Unanswered

MOST_KEPT: Final = 4096
LARGEST_KEPT: Final = 8192
"""Characters; with `MOST_KEPT`, 32 MiB whatever strangers publish."""
LONGEST: Final = 3600
"""Seconds that records are kept, whatever they say of themselves."""
SHORTEST: Final = 10
NONE_KEPT: Final = 60
"""Seconds for which it is remembered that there is nothing."""
FAILURE_KEPT: Final = 5
"""Seconds until a name that was not answered for is asked for again."""
PAUSE: Final = 5.0
"""Seconds between two looks whether a dead DNS is back."""

Key = tuple[str, Kind]


class Lookups:
    """A Resolver before a Source; used in one event loop."""

    def __init__(self, source: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[float, tuple[str, ...] | None]] = OrderedDict()
        self._asked: dict[Key, asyncio.Task[tuple[str, ...]]] = {}
        self._dead = False
        self._look_after = 0.0
        self._look: asyncio.Task[None] | None = None

    async def ask(self, name: str, kind: Kind) -> tuple[str, ...]:
        """As `Resolver.ask`; names that are in no DNS have no records, and nobody is asked."""
        name = name.rstrip(".").lower()
        if special(name):
            return ()
        key = (name, kind)
        until, known = self._kept.get(key, (0.0, None))
        if until > self._clock():
            self._kept.move_to_end(key)
            if known is None:
                raise Unanswered
            return known
        if self._dead:
            self._look_again()
            raise Unanswered
        if (task := self._asked.get(key)) is None:
            task = self._asked[key] = asyncio.create_task(self._fetch(key))
            task.add_done_callback(lambda done: self._settled(key, done))
        # One who gives up waiting must not take the answer from the others.
        return await asyncio.shield(task)

    async def _fetch(self, key: Key) -> tuple[str, ...]:
        try:
            found = await self._source.fetch(*key)
        except Silent:
            # Of a domain whose own servers are dead, or of all: no sender may decide that by the domain he names.
            self._look_again()
            raise
        self._keep(key, found)
        return found.records

    def _settled(self, key: Key, task: "asyncio.Task[tuple[str, ...]]") -> None:
        self._asked.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            self._remember(key, None, FAILURE_KEPT)

    def _keep(self, key: Key, found: Found) -> None:
        if sum(map(len, found.records)) <= LARGEST_KEPT:
            seconds = NONE_KEPT if found.ttl is None else min(max(found.ttl, SHORTEST), LONGEST)
            self._remember(key, found.records, seconds)

    def _remember(self, key: Key, records: tuple[str, ...] | None, seconds: float) -> None:
        self._kept[key] = (self._clock() + seconds, records)
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    def _look_again(self) -> None:
        if (self._look is None or self._look.done()) and self._clock() >= self._look_after:
            self._look = asyncio.create_task(self._see())

    async def _see(self) -> None:
        self._dead = not await self._source.alive()
        self._look_after = self._clock() + (PAUSE if self._dead else 0)
