"""Dead letters to look at, to take away and to put back; of every partition."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.identity import identity_of
from gateway.queue.connection.answers import nobody_can_write
from gateway.queue.connection.deployment import Deployment
from gateway.queue.dead_letters import ENVELOPES
from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.keys import DEAD, Keys, conversation_hash
from gateway.queue.lua import Lua
from gateway.queue.unpublishable import burial_mark

T = TypeVar("T")
_PAGE = 50
"""Letters read at once: with payloads that stay in Redis, a few MiB."""
_AGAIN, _FAILED = Lua("letter_again.lua"), Lua("letter_failed.lua")
_PLACE = re.compile(r"\w+( at [\w.<>-]+:\d+)?")
_Entry = tuple[bytes, dict[bytes, bytes]]


class KeptLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter as it stands on its stream; a field nobody wrote is empty."""

    keys: Keys
    """Of its partition."""
    entry_id: str
    id: str
    reference: str
    channel: str
    inbox: str
    reason: str
    error: str
    payload: bytes
    payload_uri: str
    attempts: int
    received_at: datetime
    """When the message came in; of a letter that does not say, when it was buried."""
    buried_at: datetime
    """When it failed last."""
    fingerprint: str
    """In hexadecimal, of an unpublishable entry that had one."""

    @property
    def place(self) -> str:
        """Type and place of the error; empty where the first line is not known to be that alone."""
        first = self.error.partition("\n")[0]
        return first if _PLACE.fullmatch(first) else ""


class DeadLetterBox:
    """The dead letters of one queue. Every method raises QueueUnavailable."""

    def __init__(self, deployment: Deployment, partitions: Sequence[Keys]) -> None:
        self._deployment, self._partitions = deployment, partitions

    async def count(self) -> int:
        """How many there are."""
        return sum([int(await self._ask(keys, "XLEN", keys.stream(DEAD))) for keys in self._partitions])

    async def newest(self, most: int) -> list[KeptLetter]:
        """Those that failed last, newest first."""
        found: list[KeptLetter] = []
        for keys in self._partitions:
            before = "+"
            for _ in range(0, most, _PAGE):
                page = await self._page(keys, "XREVRANGE", before, "-")
                found += page
                if len(page) < _PAGE:
                    break
                before = f"({page[-1].entry_id}"
        return sorted(found, key=lambda letter: letter.buried_at, reverse=True)[:most]

    async def all(self) -> AsyncIterator[KeptLetter]:
        """Those that are there now, oldest of each partition first; what is put back meanwhile is not met again."""
        for keys in self._partitions:
            last, after = await self._page(keys, "XREVRANGE", "+", "-", most=1), "-"
            while last and (page := await self._page(keys, "XRANGE", after, last[0].entry_id)):
                for letter in page:
                    yield letter
                after = f"({page[-1].entry_id}"

    async def find(self, name: str) -> list[KeptLetter]:
        """Those of an id or reference; several where several consumer groups gave up on the same entry."""
        return [letter async for letter in self.all() if name in (letter.id, letter.reference)]

    async def remove(self, letter: KeptLetter) -> None:
        """Take it away, and the mark of its burial: should the same fail once more, it is a letter again."""
        if mark := _burial_mark(letter):
            await self._ask(letter.keys, "ZREM", letter.keys.seen, mark)
        await self._ask(letter.keys, "XDEL", letter.keys.stream(DEAD), letter.entry_id)

    async def failed(self, letter: KeptLetter, error: str) -> None:
        """Put it back with the new error and one attempt more, in one write."""
        stream = letter.keys.stream(DEAD)
        await self._trying(letter.keys, lambda redis: _FAILED(redis, [stream], letter.entry_id, error))

    async def again(self, letter: KeptLetter, entry: Entry) -> Published | None:
        """Publish the envelope in it and take it away, in one write; None where it is gone already.

        What a consumer gave up on was published before, so its own mark does not count. Raises ResponseError where
        the server refuses this entry alone.
        """
        keys = [letter.keys.stream(DEAD), letter.keys.stream(entry.stream), letter.keys.seen]
        heeded = int(letter.reason != "poison")
        arguments = (letter.entry_id, entry.mark, entry.fingerprint, entry.keep_ms, heeded, *entry.fields)
        answer = await self._trying(letter.keys, lambda redis: _AGAIN(redis, keys, *arguments), alone=True)
        return {1: Published.NEW, 0: Published.DUPLICATE}.get(answer)

    async def foresee(self, entry: Entry) -> Published:
        """What publishing an entry would answer now."""
        keys = self._partitions[conversation_hash(entry.conversation) % len(self._partitions)]
        seconds, micros = await self._ask(keys, "TIME")
        scores = [await self._ask(keys, "ZSCORE", keys.seen, mark) for mark in (entry.mark, entry.fingerprint)]
        known, same = (
            score is not None and float(score) > int(seconds) * 1000 + int(micros) / 1000 for score in scores
        )
        if not known:
            return Published.NEW
        return Published.CONFLICT if entry.fingerprint and not same else Published.DUPLICATE

    async def _page(self, keys: Keys, command: str, start: str, end: str, *, most: int = _PAGE) -> list[KeptLetter]:
        found = await self._ask(keys, command, keys.stream(DEAD), start, end, "COUNT", most)
        return [_letter(keys, entry_id, fields) for entry_id, fields in cast("list[_Entry]", found)]

    async def _ask(self, keys: Keys, *command: str | bytes | int) -> Any:
        async def ask(redis: Redis) -> Any:
            return await redis.execute_command(*command)  # type: ignore[no-untyped-call]  # theirs is untyped

        return await self._trying(keys, ask)

    async def _trying(self, keys: Keys, call: Callable[[Redis], Awaitable[T]], *, alone: bool = False) -> T:
        try:
            return await call(await self._deployment.server(keys.seen))
        except (RedisError, OSError) as error:
            if alone and isinstance(error, ResponseError) and not nobody_can_write(error):
                raise
            with suppress(RedisError, OSError):
                await self._deployment.moved()
            raise QueueUnavailable(type(error).__name__) from error


def _letter(keys: Keys, entry_id: bytes, fields: dict[bytes, bytes]) -> KeptLetter:
    said = {name.decode(): value for name, value in fields.items()}
    text = {name: value.decode(errors="replace") for name, value in said.items() if name != "payload"}
    buried_at = datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, UTC)
    try:
        received_at = datetime.fromisoformat(text["received_at"])
    except (KeyError, ValueError):
        received_at = buried_at
    return KeptLetter(
        keys=keys,
        entry_id=entry_id.decode(),
        id=text.get("id", ""),
        reference=_reference(text.get("id", "")),
        channel=text.get("channel", ""),
        inbox=text.get("inbox", ""),
        reason=text.get("reason", ""),
        error=text.get("error", ""),
        payload=said.get("payload", b""),
        payload_uri=text.get("payload_uri", ""),
        attempts=int(text["attempts"]) if text.get("attempts", "").isdecimal() else 1,
        received_at=received_at if received_at.tzinfo else received_at.replace(tzinfo=UTC),
        buried_at=buried_at,
        fingerprint=text.get("fingerprint", ""),
    )


def _burial_mark(letter: KeptLetter) -> bytes | None:
    """None where its burial has none, and where its id is no id of ours."""
    if not letter.reference or letter.reason == "poison":
        return None
    mark = identity_of(letter.id).mark
    return burial_mark(mark, letter.fingerprint) if letter.reason in ENVELOPES else mark


def _reference(id: str) -> str:
    try:
        return identity_of(id).reference
    except ValueError:
        return ""
