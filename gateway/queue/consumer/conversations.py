"""Who is handled when: conversations one beside the other, each in its order, failures again after a while."""

import asyncio
import inspect
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

from gateway.queue.consumer.delivery import UNREADABLE, Delivery, Held, place
from gateway.queue.consumer.options import ConsumerOptions

Handler = Callable[[Delivery], Awaitable[object]]

_log = logging.getLogger("gateway.consumer")
_MOST_DOUBLINGS = 30
_LAST_WORDS = 1.0
"""Seconds a cancelled handler has to clean up."""


class Defer(Exception):
    """A handler raises it where the envelope is not at fault, such as a database that is away: tried again for ever."""


class Home(Protocol):
    """Where an entry was read, and where word of it goes back."""

    async def count(self, held: Held) -> bool:
        """Tell Redis of another start; false where the entry is no longer ours."""
        ...

    def settle(self, held: Held, *, poison: bool) -> None:
        """It is handled, or to be buried."""
        ...

    def forget(self, held: Held) -> None:
        """Somebody else has it."""
        ...


class Conversations:
    """Hands entries to the core: of one conversation in the order they were read, each until it is settled."""

    def __init__(self, handler: Handler, options: ConsumerOptions, stopping: asyncio.Event) -> None:
        self._handler, self._options, self._stopping = handler, options, stopping
        self._conversations: dict[str, deque[tuple[Held, Home]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(options.concurrency)
        self._one_hazard = asyncio.Lock()
        self._eager, self._held = 0, 0
        self._room = asyncio.Event()
        self._room.set()
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails where this module has a bug."""

    async def room(self) -> None:
        """Return once a handler is idle and there is room in hand, or when the consumer stops."""
        await self._room.wait()

    def add(self, held: Held, home: Home) -> None:
        """Take an entry; it is handled behind those of its conversation."""
        self._held += 1
        if held.conversation in self._conversations:
            self._conversations[held.conversation].append((held, home))
        else:
            self._conversations[held.conversation] = deque([(held, home)])
            self._eager += 1
            task = asyncio.create_task(self._work_off(held.conversation), name="conversation")
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        self._look()

    async def finish(self) -> None:
        """Once the consumer stops: let handlers under way finish within `stop_within`, then cancel them."""
        self._look()
        for bound in (self._options.stop_within, _LAST_WORDS):
            if self._tasks:
                _, left = await asyncio.wait(self._tasks, timeout=bound)
                for task in left:
                    task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.broken.done():
            self.broken.set_exception(error)

    def _look(self) -> None:
        idle = self._eager < self._options.concurrency and self._held < self._options.max_in_hand
        if idle or self._stopping.is_set():
            self._room.set()
        else:
            self._room.clear()

    async def _work_off(self, conversation: str) -> None:
        waiting = self._conversations[conversation]
        try:
            while waiting and not self._stopping.is_set():
                await self._see_to(*waiting[0])
                waiting.popleft()
                self._held -= 1
                self._look()
        finally:
            del self._conversations[conversation]
            self._held -= len(waiting)
            self._eager -= 1
            self._look()

    async def _see_to(self, held: Held, home: Home) -> None:
        """Return when it is settled, or not ours any more, or the consumer stops: then it stays in hand."""
        if held.envelope is None:
            held.error = UNREADABLE
            return home.settle(held, poison=True)
        failures = 0
        while held.starts < self._options.max_deliveries:
            async with self._turn(held):
                if self._stopping.is_set():
                    return None
                held.starts += 1
                if held.lost or (held.starts > held.counted and not await home.count(held)):
                    return home.forget(held)
                error = await self._handle(held)
            if error is None:
                return home.settle(held, poison=False)
            held.error = place(error)
            _log.warning("handler.failed id=%s attempt=%d error=%s", held.id, held.starts, held.error)
            held.starts -= isinstance(error, Defer)
            failures += 1
            if held.starts < self._options.max_deliveries:
                await self._back_off(failures)
                if self._stopping.is_set():
                    return None
        return home.settle(held, poison=True)

    @asynccontextmanager
    async def _turn(self, held: Held) -> AsyncIterator[None]:
        if not _is_hazard(held):
            async with self._slots:
                yield
            return
        with self._resting():
            await self._one_hazard.acquire()
        try:
            async with self._slots:
                yield
        finally:
            self._one_hazard.release()

    async def _handle(self, held: Held) -> BaseException | None:
        try:
            work = self._handler(held.delivery())
            if inspect.isawaitable(work):
                await work
                return None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                held.starts -= 1  # our stop is not its fault
                raise
            return error
        except Exception as error:  # whatever the core raises, the entry is tried again
            return error
        raise TypeError("the handler of a Consumer must be async")  # every envelope would be poison

    async def _back_off(self, failures: int) -> None:
        doubled = self._options.retry_after * 2 ** min(failures - 1, _MOST_DOUBLINGS)
        seconds = min(doubled, self._options.retry_at_most) * random.uniform(0.5, 1)
        with self._resting():
            try:
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """A conversation that waits wants no handler: others may be read meanwhile."""
        self._eager -= 1
        self._look()
        try:
            yield
        finally:
            self._eager += 1
            self._look()


def _is_hazard(held: Held) -> bool:
    """Begun twice and left behind: perhaps it kills its readers. Alone, no neighbour is taken for it."""
    return held.left_behind and held.starts > 1
