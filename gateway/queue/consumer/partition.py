"""What a consumer says to one partition: read, take over, keep, acknowledge, bury, leave."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.queue.connection.deployment import Deployment, QueueUnavailable
from gateway.queue.consumer.delivery import Fields, Held
from gateway.queue.consumer.options import ConsumerOptions
from gateway.queue.keys import DEAD, Keys
from gateway.queue.lua import Lua

FIRST = "0-0"
"""Where taking over starts, and where it is at its end."""

T = TypeVar("T")
Taken = tuple[bytes, list[tuple[bytes, int, list[bytes]]]]

_log = logging.getLogger("gateway.consumer")
_OWN = ""
_BLOCKS = 5
"""Waits for new entries per time-out; a stop waits for the one under way."""

_take, _keep, _bury, _leave = (Lua(f"consumer/{name}.lua") for name in ("take", "keep", "bury", "leave"))


class Partition:
    """The streams of one partition, as one consumer of a group sees them. Every call raises QueueUnavailable."""

    def __init__(self, deployment: Deployment, keys: Keys, options: ConsumerOptions) -> None:
        self._deployment, self._keys, self._options = deployment, keys, options
        self._weights = {keys.stream(tier): weight for tier, weight in options.tiers.items()}
        self._tiers = {keys.stream(tier): tier for tier in options.tiers}
        self._claim_ms = int(options.claim_after * 1000)
        self._up = True

    @property
    def streams(self) -> Sequence[str]:
        """Most urgent first."""
        return tuple(self._weights)

    async def join(self) -> None:
        """Create the group where it is missing, from the first entry on."""
        group, name = self._options.group, self._options.name

        async def create(redis: Redis) -> None:
            for stream in self.streams:
                try:
                    await redis.xgroup_create(stream, group, FIRST, mkstream=True)
                except ResponseError as error:
                    if not str(error).startswith("BUSYGROUP"):  # somebody else was first
                        raise
                await redis.xgroup_createconsumer(stream, group, name)

        await self._ask(create)

    async def read(self, *, wait: bool) -> list[Held]:
        """A round of new entries, weighted; where there are none, `wait` a while for the first one anywhere."""
        group, name = self._options.group, self._options.name

        async def round_(redis: Redis) -> list[Any]:
            pipeline = redis.pipeline(transaction=False)
            for stream, weight in self._weights.items():
                pipeline.xreadgroup(group, name, {stream: ">"}, count=weight)
            return await pipeline.execute()

        if found := [held for answer in await self._ask(round_) for held in self._held(answer)]:
            return found
        if not wait:
            return []
        # Shorter than the client's time-out: silence is not a dead link.
        block = max(int(self._options.timeout * 1000 / _BLOCKS), 1)
        new: Any = dict.fromkeys(self.streams, ">")
        return self._held(await self._ask(lambda redis: redis.xreadgroup(group, name, new, count=1, block=block)))

    async def take_over(self, stream: str, start: str) -> tuple[str, list[Held]]:
        """Some of what dead readers left, and where to go on; 0-0 is the start and the end."""
        return await self._take(stream, str(self._claim_ms), start, self._weights[stream])

    async def take_own(self, stream: str) -> list[Held]:
        """All that is pending under our name: answers that were lost on the way, or an earlier life's."""
        found: list[Held] = []
        start = FIRST
        while True:
            start, some = await self._take(stream, _OWN, start, self._options.max_in_hand)
            found += some
            if start == FIRST:
                return found

    async def keep(self, held: Sequence[Held], *, give_back: bool = False) -> None:
        """Stay the owner of entries, or make them free for whoever looks next; marks those that are lost."""
        idle = self._claim_ms if give_back else 0
        for stream in self.streams:
            mine = {one.entry_id: one for one in held if one.stream == stream}
            if not mine:
                continue
            # What was read and never begun counts as read once, until it is given back.
            counts = {id: one.starts if give_back else max(one.starts, one.counted) for id, one in mine.items()}
            pairs = [word for pair in counts.items() for word in pair]
            ours = await self._run(_keep, [stream], idle, *pairs)
            kept = {id.decode() for id in cast("list[bytes]", ours)}
            for id, one in mine.items():
                one.counted, one.lost = counts[id], id not in kept

    async def acknowledge(self, held: Sequence[Held]) -> None:
        """All in one round trip."""

        async def ack(redis: Redis) -> None:
            pipeline = redis.pipeline(transaction=False)
            for stream in self.streams:
                if ids := [one.entry_id for one in held if one.stream == stream]:
                    pipeline.xack(stream, self._options.group, *ids)
            await pipeline.execute()

        if held:
            await self._ask(ack)

    async def bury(self, held: Held) -> None:
        """Make a dead letter of an entry that is still ours."""
        if await self._run(_bury, [held.stream, self._keys.stream(DEAD)], held.entry_id, *held.letter()):
            _log.error("message.buried id=%s reason=poison error=%s", held.id, held.error)

    async def leave(self) -> None:
        """Remove ourselves and readers long silent from the groups, where nothing is pending for them."""
        group, name = self._options.group, self._options.name

        async def leave(redis: Redis) -> None:
            for stream in self.streams:
                for consumer in await redis.xinfo_consumers(stream, group):
                    other = consumer["name"].decode()
                    if other == name or (consumer["pending"] == 0 and consumer["idle"] > self._claim_ms):
                        await _leave(redis, [stream], group, other)

        await self._ask(leave)

    async def _take(self, stream: str, min_idle: str, start: str, most: int) -> tuple[str, list[Held]]:
        go_on, entries = cast("Taken", await self._run(_take, [stream], min_idle, start, most))
        return go_on.decode(), [
            Held(
                stream,
                self._tiers[stream],
                entry_id.decode(),
                dict(zip(flat[::2], flat[1::2], strict=True)),
                starts=count,
                counted=count,
                left_behind=True,
            )
            for entry_id, count, flat in entries
        ]

    def _held(self, answer: Any) -> list[Held]:
        return [
            Held(stream.decode(), self._tiers[stream.decode()], entry_id.decode(), cast("Fields", fields))
            for stream, entries in answer or ()
            for entry_id, fields in entries
        ]

    async def _run(self, script: Lua, keys: list[str], *arguments: Any) -> Any:
        who = (self._options.group, self._options.name)
        return await self._ask(lambda redis: script(redis, keys, *who, *arguments))

    async def _ask(self, question: Callable[[Redis], Awaitable[T]]) -> T:
        try:
            answer = await question(await self._deployment.server(self._keys.seen))
        except (RedisError, OSError, QueueUnavailable) as error:
            why = str(error) if isinstance(error, QueueUnavailable) else type(error).__name__
            self._link(False, why)
            with suppress(RedisError, OSError, QueueUnavailable):
                await self._deployment.moved()
            raise QueueUnavailable(why) from error
        self._link(True)
        return answer

    def _link(self, up: bool, why: str = "") -> None:
        if up is not self._up:
            self._up = up
            if up:
                _log.info("link.up link=%s", self._keys.prefix)
            else:
                _log.error("link.down link=%s error=%s", self._keys.prefix, why)
