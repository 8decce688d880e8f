"""Publishing without a waiting room and without a spool: the server has it, or the caller hears so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import ResponseError

from gateway.queue.connection.deployment import Deployment
from gateway.queue.connection.link import Command, Link
from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.keys import Keys, conversation_hash
from gateway.queue.publish_script import PublishScript
from gateway.queue.publisher import Publisher


class Straight(Publisher):
    """A publisher without lanes; `tell` is what is done with each entry."""

    def __init__(self, tell: Callable[[Entry], Coroutine[Any, Any, Published]]) -> None:
        super().__init__((), ())
        self._tell = tell

    def publish(self, entry: Entry) -> "asyncio.Future[Published]":
        """Done once the entry is durably on its stream, or was before; else its exception is `tell`'s."""
        return asyncio.ensure_future(self._tell(entry))


@asynccontextmanager
async def straight(
    deployment: Deployment, partitions: Sequence[Keys], tiers: Sequence[str], *, timeout: float, wait: Command | None
) -> AsyncIterator[Straight]:
    """For work that can be done again later; `timeout` in seconds bounds each exchange.

    Its entries fail with QueueUnavailable, or with ResponseError where the server refuses that one alone.
    """
    scripts = [PublishScript(Link(deployment, keys.seen, timeout=timeout), keys, tiers, wait) for keys in partitions]
    turns = [asyncio.Lock() for _ in scripts]

    async def tell(entry: Entry) -> Published:
        number = conversation_hash(entry.conversation) % len(scripts)
        async with turns[number]:
            (answer,) = await scripts[number].publish([entry])
        if not isinstance(answer, Published):
            raise answer if isinstance(answer, ResponseError) else QueueUnavailable("not tried")
        return answer

    try:
        yield Straight(tell)
    finally:
        for script in scripts:
            await script.close()
