"""What every source behind a network has around it: cache, breaker, one question at a time for one customer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from gateway.directory.breaker import Breaker, Nonsense, Unavailable
from gateway.directory.cache import Cache
from gateway.directory.lookup import Lookup, Question
from gateway.directory.matching import Known, answer, choose
from gateway.directory.options import Callbacks, Limits
from normalizers.message import Address, MessageWarning

MOST_QUESTIONS = 64
"""Under way to one source at a time; beyond that a message does with what is known."""

_UNREADABLE = MessageWarning("customer_unreadable", "a source's answer about this requester cannot be used")


class Asker(Protocol):
    """Asks one system. Raises Unavailable; Nonsense where only this answer is of no use."""

    async def ask(self, question: Question, /) -> Mapping[Address, Sequence[Known]]:
        """Who each address names; a domain need only be asked where no exact address names anybody."""


class RemoteSource:
    """Repeats what it knows in microseconds; a question that a message stops waiting for still fills the cache."""

    def __init__(
        self,
        name: str,
        asker: Asker,
        *,
        timeout: float,
        limits: Limits,
        callbacks: Callbacks,
        clock: Callable[[], float] = lambda: asyncio.get_running_loop().time(),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self._asker, self._timeout, self._callbacks = asker, timeout, callbacks
        self._clock, self._now = clock, now
        self._cache = Cache(limits)
        self._breaker = Breaker(lambda up, why: callbacks.on_link(name, up, why), clock)
        self._asking: dict[Question, asyncio.Task[Lookup | None]] = {}
        self._failed = Lookup(status="failed", source=name)

    @property
    def down(self) -> bool:
        """Whether the source is left alone for now."""
        return self._breaker.down

    async def find(self, question: Question, deadline: float, /) -> Lookup:
        """Wait for the source until `deadline`; then, and where it fails, the last known or `failed`."""
        now = self._clock()
        if (kept := self._cache.fresh(question, now)) is not None:
            return kept
        task = self._asking.get(question)
        if task is None:
            if len(self._asking) >= MOST_QUESTIONS or not self._breaker.allows():
                return self._otherwise(question)
            task = self._asking[question] = asyncio.create_task(self._ask(question), name=f"directory {self.name}")
        if not task.done() and deadline > now:
            # Not wait_for: the question outlives the message that asks it first.
            await asyncio.wait({task}, timeout=deadline - now)
        answered = task.done() and not task.cancelled() and task.exception() is None
        return (task.result() if answered else None) or self._otherwise(question)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Leaving it gives up every question under way."""
        try:
            yield
        finally:
            tasks = [*self._asking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, question: Question) -> Lookup | None:
        began = self._clock()
        found: Lookup | None = None
        outcome = "failed"
        try:
            try:
                async with asyncio.timeout(self._timeout):
                    answers = await self._asker.ask(question)
            except TimeoutError:
                raise Unavailable(f"no answer within {self._timeout:g} s") from None
            as_of = self._now()
            found = choose(question, lambda one: answer(one, answers.get(one, ()), source=self.name, as_of=as_of))
            self._cache.put(question, found, self._clock())
            self._breaker.worked()
            outcome = found.status
        except Nonsense:
            kept = self._otherwise(question)
            found = msgspec.structs.replace(kept, notes=(*kept.notes, _UNREADABLE))
            self._cache.put_failure(question, found, self._clock())
        except Unavailable as error:
            self._breaker.failed(error)
        except Exception as bug:  # a bug of ours, or of a library, costs the tier and never the message
            self._breaker.failed(Unavailable(f"unexpected {type(bug).__name__}"))
        finally:
            self._asking.pop(question, None)
        self._callbacks.on_lookup(self.name, outcome, self._clock() - began)
        return found

    def _otherwise(self, question: Question) -> Lookup:
        return self._cache.stale(question, self._clock()) or self._failed
