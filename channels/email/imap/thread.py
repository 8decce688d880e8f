"""Blocking calls off the event loop, on a thread that keeps no process from ending."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

_Work = tuple[Future[Any], Callable[[], Any]]


class BlockingThread:
    """Does one call after the other.

    The event loop's own executor is waited for when the process ends; a connect that nobody answers
    would hold that up, and nothing interrupts it.
    """

    def __init__(self, name: str) -> None:
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        Thread(target=self._serve, name=name, daemon=True).start()

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises; it goes on though its caller is cancelled."""
        future: Future[T] = Future()
        self._waiting.put((future, work))
        return await asyncio.wrap_future(future)

    def leave(self, last: Callable[[], object]) -> None:
        """The thread ends when all it was given is done, and `last` after it."""
        self._waiting.put((Future(), last))
        self._waiting.put(None)

    def _serve(self) -> None:
        while (given := self._waiting.get()) is not None:
            future, work = given
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # whatever it was, it is its caller's to hear
                future.set_exception(error)
            else:
                future.set_result(result)
            del given, future, work
