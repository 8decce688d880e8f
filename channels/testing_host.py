"""The gateway as an adapter sees it, for tests."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from channels.api import Outcome, Receipt, Reference, Refusal
from normalizers.message import Problem

T = TypeVar("T")


class FakeCursor:
    """A cursor in memory."""

    def __init__(self) -> None:
        self.place: str | None = None

    async def read(self) -> str | None:
        """Where it was moved last."""
        return self.place

    async def move(self, place: str, /) -> None:
        """From now on there."""
        self.place = place


class FakeHost:
    """The gateway as an adapter sees it: remembers what it was handed and answers what the test says."""

    def __init__(self, inbox: str) -> None:
        self.inbox = inbox
        self.public_url = "http://gateway.example"
        self.shared_port = False
        self.scratch = Path(tempfile.gettempdir())
        self.cursor = FakeCursor()
        self.outcome = Outcome.ACCEPTED
        self.payloads: list[Any] = []
        self.refusals: list[tuple[Refusal, str]] = []
        self.finished = 0
        self.together: dict[Callable[[], Any], Any] = {}
        self.handed_over = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def intake(self, payload: Any, /) -> Receipt:
        """Take a payload; `go_on` holds the answer back."""
        self.payloads.append(payload)
        self.handed_over.set()
        await self.go_on.wait()
        self.finished += 1
        if self.outcome is Outcome.ACCEPTED:
            ticket = Reference(id="0b54cf0e-34a4-8c3f-9d1e-5a2f0c9d7e11", reference="T-7K3M-9QXR")
            return Receipt(outcome=self.outcome, references=(ticket,))
        if self.outcome is Outcome.REJECTED:
            return Receipt(outcome=self.outcome, problems=(Problem("", "malformed", "It cannot be read."),))
        return Receipt(outcome=self.outcome)

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Nobody else is there."""
        return nullcontext()

    def shared(self, make: Callable[[], T], /) -> T:
        """One of a kind per host; give adapters that are to share something the same `together`."""
        if make not in self.together:
            self.together[make] = make()
        made: T = self.together[make]
        return made

    def refused(self, why: Refusal, detail: str) -> None:
        """Remember a sender turned away."""
        self.refusals.append((why, detail))
