"""Read ticket envelopes in Python: `Consumer(url, handler)`. Needs redis, msgspec and the standard library alone."""

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from gateway.queue.connection.deployment import deployment
from gateway.queue.consumer.conversations import Conversations, Defer, Handler
from gateway.queue.consumer.delivery import Delivery
from gateway.queue.consumer.options import TIERS, ConsumerOptions
from gateway.queue.consumer.partition import Partition
from gateway.queue.consumer.reader import Reader
from gateway.queue.keys import partitions


@dataclass(kw_only=True, eq=False)
class Consumer(ConsumerOptions):
    """Hands every ticket envelope to `handler` at least once; `async with` it inside a program, or `run` it as one.

    A handler that returns has the envelope for good; one that raises gets it again later, and after
    `max_deliveries` it is a dead letter. `delivery.id` is the same each time: store it with what the handler does.
    """

    url: str = field(kw_only=False, repr=False)
    handler: Handler = field(kw_only=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Let `run` finish what is under way, within `stop_within`, and return. A signal handler may call it."""
        self._stop.set()

    async def run(self) -> None:
        """Consume until `stop`; a Redis that goes away is waited for.

        Raises ValueError for a URL that is wrong, TypeError for a handler that is not async.
        """
        redis = deployment(self.url, timeout=self.timeout)
        conversations = Conversations(self.handler, self, self._stop)
        parts = [Partition(redis, keys, self) for keys in partitions(self.prefix, self.partitions)]
        readers = [Reader(part, conversations, self, self._stop) for part in parts]
        reading = [asyncio.create_task(reader.read_on(), name="read") for reader in readers]
        beside = [asyncio.create_task(reader.keep_up(), name="keep up") for reader in readers]
        beside.append(asyncio.create_task(_until(self._stop), name="stop"))
        try:
            done, _ = await asyncio.wait([*reading, *beside, conversations.broken], return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()  # what ends without a stop is a bug of ours, and ends loudly
        finally:
            self.stop()
            await conversations.finish()
            await asyncio.gather(*reading, return_exceptions=True)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            for reader in readers:
                await reader.leave()
            await redis.close()

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.run(), name="consumer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._running is not None:
            await self._running


async def _until(event: asyncio.Event) -> None:
    await event.wait()


__all__ = ("TIERS", "Consumer", "Defer", "Delivery", "Handler")
