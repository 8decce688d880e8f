"""Work that outlives the request that began it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

DRAIN_SECONDS = 10.0
"""All inboxes drain at once, within the 25 s that the gateway as a whole takes to stop."""


class InHand:
    """What an adapter has taken and not yet answered.

    `run` finishes its work even where the one who asked is cancelled; `with in_hand:` only counts what the
    caller does himself, and costs no task.
    """

    def __init__(self) -> None:
        self.is_open = False
        """Whether anything new may be taken."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._counted = 0
        self._none = asyncio.Event()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The lifespan of an adapter: open while entered; leaving it waits for what is in hand, bounded."""
        self.is_open = True
        try:
            yield
        finally:
            self.is_open = False
            await self.drain(DRAIN_SECONDS)

    def __enter__(self) -> None:
        self._counted += 1

    def __exit__(self, *_: object) -> None:
        self._counted -= 1
        if not self._counted:
            self._none.set()

    async def run(self, work: Coroutine[Any, Any, T], *, within: float | None = None) -> T:
        """The result of `work`, which goes on when the caller is cancelled or has waited long enough.

        Raises TimeoutError after `within` seconds.
        """
        task = asyncio.get_running_loop().create_task(work)
        # The loop keeps only weak references to tasks.
        self._tasks.add(task)
        task.add_done_callback(self._over)
        await asyncio.wait((task,), timeout=within)
        if not task.done():
            raise TimeoutError
        return task.result()

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # what nobody waits for any more is not to be printed by the loop, with all it quotes

    async def drain(self, seconds: float) -> bool:
        """Wait so many seconds at most for what is in hand; whether all of it is done."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(self._tasks)
                while self._counted:
                    self._none.clear()
                    await self._none.wait()
        return not self._tasks and not self._counted
