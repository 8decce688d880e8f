"""publish.lua on one partition: a batch in one call, each entry with its own answer."""

from collections.abc import Sequence
from enum import Enum
from hashlib import sha1
from pathlib import Path
from time import monotonic
from typing import Any, cast

import msgspec
from redis.exceptions import NoScriptError, ResponseError

from gateway.queue.connection.answers import nobody_can_write, word
from gateway.queue.connection.link import Command, Link
from gateway.queue.connection.waiting import durable
from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.keys import DEAD, Keys

SCRIPT = (Path(__file__).parent / "publish.lua").read_bytes()
_SHA = sha1(SCRIPT, usedforsecurity=False).hexdigest()
_pack = msgspec.msgpack.Encoder().encode


class Behind(Enum):
    """Not tried: an entry of the same conversation before it was refused."""

    BEHIND = -2


Answer = Published | Behind | ResponseError
"""What became of an entry, or what is wrong with it alone."""
_ANSWERS: dict[int, Published | Behind] = {one.value: one for one in (*Published, *Behind)}


class PublishScript:
    """Publishes batches over one link; `wait` is the command that asks the replicas, sent along with each."""

    def __init__(self, link: Link, keys: Keys, tiers: Sequence[str], wait: Command | None = None) -> None:
        self._link, self._wait, self._packed = link, wait, Packing(tiers)
        self._keys = (keys.seen, keys.stats, *(keys.stream(stream) for stream in (*tiers, DEAD)))
        self._probe = ("XADD", keys.probe, "MAXLEN", 1, "*", "by", "gateway")
        self.streams = frozenset((*tiers, DEAD))

    async def publish(self, entries: Sequence[Entry], *, within: float | None = None) -> Sequence[Answer]:
        """Each entry's answer, all of it as durable as the server promises.

        Raises QueueUnavailable after `within` seconds, or the link's time-out: any of them may be written or not.
        """
        began = monotonic()
        packed = self._packed(entries)
        resent = False
        reply = await self._run("EVALSHA", _SHA, packed, within)
        if isinstance(reply, NoScriptError):
            resent = self._link.resent
            left = None if within is None else max(began + within - monotonic(), 0)
            reply = await self._run("EVAL", SCRIPT, packed, left)
        if isinstance(reply, ResponseError):
            await self._away(reply)
        answers = [_answer(one) for one in cast("list[int | ResponseError]", reply)]
        for one in answers:
            if isinstance(one, ResponseError) and nobody_can_write(one, handed_on=True):
                await self._away(one)
        if (resent or self._link.resent) and Published.NEW not in answers:
            # Had the first call not been carried out, something would be new: its answer alone was lost. A batch of
            # nothing but repeats looks the same, and is told that it is new.
            return [Published.NEW if one is Published.DUPLICATE else one for one in answers]
        return answers

    async def probe(self) -> None:
        """The write a message is, for PING says yes while the server is full or read-only. Raises QueueUnavailable."""
        if self._wait is None:
            (reply,) = await self._link.exchange(self._probe)
        else:
            reply, waited = await self._link.exchange(self._probe, self._wait)
            self._vouched(reply, waited)
        if isinstance(reply, Exception):
            await self._away(reply)

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def _run(self, command: str, script: str | bytes, packed: bytes, within: float | None) -> Any:
        call = (command, script, len(self._keys), *self._keys, packed)
        if self._wait is None:
            (reply,) = await self._link.exchange(call, within=within)
            return reply
        reply, waited = await self._link.exchange(call, self._wait, within=within)
        self._vouched(reply, waited)
        return reply

    def _vouched(self, reply: Any, waited: Any) -> None:
        if not isinstance(reply, ResponseError) and not durable(cast(Command, self._wait), waited):
            raise QueueUnavailable("not on enough replicas in time")

    async def _away(self, error: Exception) -> None:
        await self._link.lost()
        raise QueueUnavailable(word(error)) from error


def _answer(reply: int | ResponseError) -> Answer:
    return reply if isinstance(reply, ResponseError) else _ANSWERS[reply]


class Packing:
    """Entries as the script's one argument.

    One, because the client's own encoding of a dozen arguments per entry costs more than all the rest.
    """

    def __init__(self, tiers: Sequence[str]) -> None:
        self._number = {stream: n for n, stream in enumerate((*tiers, DEAD), 1)}

    def __call__(self, entries: Sequence[Entry]) -> bytes:
        conversations: dict[str, int] = {}
        return _pack([self._one(entry, conversations) for entry in entries])

    def _one(self, entry: Entry, conversations: dict[str, int]) -> tuple[object, ...]:
        return (
            self._number[entry.stream],
            _str(entry.mark),
            entry.keep_ms,
            _str(entry.fingerprint) if entry.fingerprint else "",
            conversations.setdefault(entry.conversation, len(conversations)),
            [_str(field) if type(field) is bytes else field for field in entry.fields],
        )


def _str(value: bytes) -> msgspec.Raw:
    """MessagePack str 32 of any bytes: Redis's cmsgpack does not know the bin type."""
    return msgspec.Raw(b"\xdb" + len(value).to_bytes(4, "big") + value)
