"""Duties that one process of a machine has at a time: who holds the lock does them, and it falls with its holder."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from gateway.queue.locks import try_exclusive

LOOK_AGAIN = 1.0
"""Seconds until another process notices that the owner is gone; between two tries of a duty that failed too."""

Duty = Callable[[], Awaitable[None]]


class Owner:
    """A claim to the duties kept in a directory, which all processes that share them must name alike."""

    def __init__(self, directory: Path, *, look_again: float = LOOK_AGAIN) -> None:
        self.look_again = look_again
        self._directory = directory

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Wait, as long as it takes, until nobody else is the owner; be it while entered."""
        lock = await self._acquire()
        try:
            yield
        finally:
            os.close(lock)

    async def _acquire(self) -> int:
        log, failing = structlog.get_logger(), False
        while True:
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = try_exclusive(self._directory / "owner.lock")
            except OSError as error:
                if not failing:
                    log.error("duties.failed", error=os.strerror(error.errno or 0))
                failing, lock = True, None
            if lock is not None:
                return lock
            await asyncio.sleep(self.look_again)


@asynccontextmanager
async def on_duty(owner: Owner, *duties: Duty) -> AsyncIterator[None]:
    """While entered, run the duties whenever this process is the owner; one that fails or ends is begun again."""
    watch = asyncio.create_task(_serve(owner, duties), name="duties")
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _serve(owner: Owner, duties: tuple[Duty, ...]) -> None:
    async with owner.held(), asyncio.TaskGroup() as group:
        structlog.get_logger().info("duties.taken", pid=os.getpid())
        for duty in duties:
            group.create_task(_again_and_again(duty, owner.look_again))


async def _again_and_again(duty: Duty, pause: float) -> None:
    failing = False
    while True:
        try:
            await duty()
            failing = False
        except Exception as error:  # whatever it was, the others go on and the next try may do better
            if not failing:
                name = getattr(duty, "__qualname__", type(duty).__name__)
                structlog.get_logger().error("duty.crashed", duty=name, error=type(error).__name__)
            failing = True
        await asyncio.sleep(pause)
