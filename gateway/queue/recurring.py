"""Work that is done again and again in the background, whatever becomes of a server meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from gateway.queue.entry import QueueUnavailable

SHORTEST, LONGEST = 0.5, 15.0
"""Seconds between two tries while it fails."""
AWAY = (QueueUnavailable, RedisError, OSError)
"""What a server that is away, or does not let us, raises."""


async def recurring(
    work: Callable[[], Awaitable[object]],
    *,
    every: float,
    expected: tuple[type[Exception], ...] = AWAY,
    on_state: Callable[[bool, str], None],
) -> None:
    """For ever, `every` seconds from the end of one turn to the next; after a failure that is `expected`, sooner.

    `on_state` hears once that it fails, and why, and once that it works again. Raises what is not expected.
    """
    failures = 0
    while True:
        try:
            await work()
        except expected as error:
            if not failures:
                on_state(False, type(error).__name__)
            failures += 1
            pause = min(SHORTEST * 2 ** min(failures - 1, 8), LONGEST) * random.uniform(0.8, 1.2)
        else:
            if failures:
                on_state(True, "")
            failures, pause = 0, every
        stop_if_cancelled()
        await asyncio.sleep(pause)


def stop_if_cancelled() -> None:
    """Raise CancelledError where it was lost: on Python 3.11 a wait_for that is just done, as the client's, eats it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
