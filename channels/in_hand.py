"""Work that outlives the request that began it."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class InHand:
    """What an adapter has taken and not yet answered.

    `run` finishes its work even where the one who asked is cancelled; `with in_hand:` only counts what the
    caller does himself, and costs no task.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._counted = 0
        self._none = asyncio.Event()

    def __enter__(self) -> None:
        self._counted += 1

    def __exit__(self, *_: object) -> None:
        self._counted -= 1
        if not self._counted:
            self._none.set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; cancelling the caller does not cancel it."""
        task = asyncio.get_running_loop().create_task(work)
        # The loop keeps only weak references to tasks.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

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
