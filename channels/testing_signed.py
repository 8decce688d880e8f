"""The conformance kit for channels whose vendor signs: everything `channels.testing` asks, and this.

Beside the methods of `AdapterContract` a subclass says how its vendor's JSON or form document is sent, well signed:

    document = json.loads(SAMPLE)
    taken = {"200"}
    async def deliver_document(self, door, document, *, secret=None) -> str: ...
    async def deliver_tampered(self, door) -> str: ...
    async def deliver_unsigned(self, door) -> str: ...
"""

import asyncio
from collections.abc import Iterator, Set
from copy import deepcopy
from typing import Any, ClassVar

import pytest

from channels.api import Outcome, Refusal
from channels.testing import AdapterContract, Door
from normalizers.message import Malformed

_WRONG: tuple[Any, ...] = (None, True, -1, 1.5, "", "\x00", "9" * 400, [], [[]], {}, {"a": {"b": []}}, "x" * 1_000_000)


class SignedContract(AdapterContract):
    """What a channel with signatures promises on top."""

    document: ClassVar[Any]
    """A good message as its vendor's document, decoded."""
    taken: ClassVar[Set[str]] = frozenset({"200"})
    """Every answer a genuine document may get, whatever is in it."""
    old_secret: ClassVar[str]
    """The last of the secrets in `settings()`; the first is what everything else is signed with."""

    async def deliver_document(self, door: Door, document: Any, *, secret: str | None = None) -> str:
        """Send a document well signed, by the newest secret or by `secret`."""
        raise NotImplementedError

    async def deliver_tampered(self, door: Door) -> str:
        """Send a good document of which one byte changed after it was signed."""
        raise NotImplementedError

    async def deliver_unsigned(self, door: Door) -> str:
        """Send a good document without a signature."""
        raise NotImplementedError

    def mutations(self) -> Iterator[Any]:
        """The document with each of its values, in turn, missing or of every wrong type."""
        yield from ({}, [], None, "text", 5)
        for path in _paths(self.document):
            gone = deepcopy(self.document)
            del _parent(gone, path)[path[-1]]
            yield gone
            for wrong in _WRONG:
                changed = deepcopy(self.document)
                _parent(changed, path)[path[-1]] = wrong
                yield changed

    async def test_tampered_message_is_refused(self, door: Door) -> None:
        assert await self.deliver_tampered(door) == self.forged_answer
        assert not door.host.payloads
        assert [why for why, _ in door.host.refusals] == [Refusal.FORGED]

    async def test_unsigned_message_is_refused(self, door: Door) -> None:
        assert await self.deliver_unsigned(door) == self.forged_answer
        assert not door.host.payloads

    async def test_old_and_new_secret_both_work(self, door: Door) -> None:
        assert await self.deliver_document(door, self.document) == self.answers[Outcome.ACCEPTED]
        answer = await self.deliver_document(door, self.document, secret=self.old_secret)
        assert answer == self.answers[Outcome.ACCEPTED]
        assert len(door.host.payloads) == 2
        assert await self.deliver_document(door, self.document, secret="somebody else's") == self.forged_answer

    async def test_twenty_at_once_are_one_message(self, door: Door) -> None:
        answers = await asyncio.gather(*(self.deliver(door) for _ in range(20)))
        assert set(answers) == {self.answers[Outcome.ACCEPTED]}
        assert len({(m.kind, m.external_id, m.identity) for m in self.messages(door)}) == 1

    async def test_no_genuine_document_is_an_error_of_ours(self, door: Door) -> None:
        for document in self.mutations():
            answer = await self.deliver_document(door, document)
            assert answer in self.taken, _short(document)
        for payload in door.host.payloads:
            try:
                self.channel.normalize(payload)
            except Malformed:
                continue
            except Exception as bug:
                pytest.fail(f"{type(bug).__name__}: {bug} for {_short(payload)}")


def _paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*above, key)
        yield from _paths(below, (*above, key))


def _parent(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


def _short(document: Any) -> str:
    return repr(document)[:400]
