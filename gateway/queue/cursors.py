"""How far the channels that fetch have come, kept beside the streams they feed."""

import asyncio

from redis.exceptions import RedisError

from gateway.queue.connection.answers import word
from gateway.queue.connection.deployment import Deployment
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys


class CursorUnavailable(OSError):
    """The server does not say or does not keep it."""


class Cursors:
    """One hash, a field per inbox. `timeout` in seconds bounds every call."""

    def __init__(self, redis: Deployment, keys: Keys, *, timeout: float) -> None:
        self._redis, self._key, self._timeout = redis, keys.cursors, timeout

    def of(self, inbox: str) -> "InboxCursor":
        """The cursor of one inbox."""
        return InboxCursor(self, inbox)

    async def read(self, inbox: str) -> str | None:
        """Raises CursorUnavailable."""
        try:
            async with asyncio.timeout(self._timeout):
                server = await self._redis.server(self._key)
                place = await server.hget(self._key, inbox)
        except (RedisError, OSError, TimeoutError, QueueUnavailable) as error:
            raise CursorUnavailable(word(error)) from error
        return place.decode() if isinstance(place, bytes) else place

    async def move(self, inbox: str, place: str) -> None:
        """Raises CursorUnavailable."""
        try:
            async with asyncio.timeout(self._timeout):
                server = await self._redis.server(self._key)
                await server.hset(self._key, inbox, place)
        except (RedisError, OSError, TimeoutError, QueueUnavailable) as error:
            await self._redis.moved()
            raise CursorUnavailable(word(error)) from error


class InboxCursor:
    """What an adapter is handed."""

    def __init__(self, cursors: Cursors, inbox: str) -> None:
        self._cursors, self._inbox = cursors, inbox

    async def read(self) -> str | None:
        """None where it never moved. Raises OSError."""
        return await self._cursors.read(self._inbox)

    async def move(self, place: str, /) -> None:
        """Durable as far as the server is. Raises OSError."""
        await self._cursors.move(self._inbox, place)
