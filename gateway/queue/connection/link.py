"""One connection of our own to the server of one partition: a deadline for the whole exchange, nothing sent unseen."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from gateway.queue.connection.answers import word
from gateway.queue.connection.deployment import Deployment
from gateway.queue.entry import QueueUnavailable

_FORGET = 1.0
"""Seconds for closing what may lead to the wrong server."""
Command = tuple[Any, ...]
Reply = Any


class Link:
    """Sends commands one exchange at a time; a connection that failed is thrown away."""

    def __init__(self, deployment: Deployment, key: str, *, timeout: float) -> None:
        self._deployment, self._key, self._timeout = deployment, key, timeout
        self._connection: AbstractConnection | None = None
        self._forgetting: asyncio.Task[None] | None = None
        self.resent = False
        """Whether the last exchange was sent twice: the first may have been carried out, its answer lost."""

    async def exchange(self, *commands: Command, within: float | None = None) -> Sequence[Reply]:
        """One round trip; an error the server answered is a value among the replies.

        Raises QueueUnavailable after `within` seconds, or the time-out: the commands may have been carried out or not.
        """
        self.resent = False
        try:
            async with asyncio.timeout(self._timeout if within is None else within):
                fresh = self._connection is None
                try:
                    return await self._exchange(commands)
                except (RedisConnectionError, OSError):
                    if fresh:
                        raise
                # A server or a proxy closes idle connections: that is not a server gone.
                await self._drop()
                self.resent = True
                return await self._exchange(commands)
        except (TimeoutError, RedisError, OSError, QueueUnavailable) as error:
            await self.lost()
            if isinstance(error, QueueUnavailable):
                raise
            raise QueueUnavailable(word(error)) from error
        except BaseException:
            await self._drop()  # a reply that nobody read would be taken for the next one's
            raise

    async def _exchange(self, commands: Sequence[Command]) -> Sequence[Reply]:
        if self._connection is None:
            self._connection = await self._connect()
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        replies: list[Reply] = []
        for _ in commands:
            try:
                replies.append(await connection.read_response(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
        return replies

    async def _connect(self) -> AbstractConnection:
        if self._forgetting is not None:
            await asyncio.shield(self._forgetting)
        client = await self._deployment.server(self._key)
        connection: AbstractConnection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # the client's own gap
        connection.socket_timeout = None  # our deadline is for the whole exchange, a byte now and then included
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # again
        except BaseException:
            await connection.disconnect(nowait=True)  # half open, it would be nobody's
            raise
        return connection

    async def lost(self) -> None:
        """Throw the connection away, and what was known of who serves the key."""
        await self._drop()
        if self._forgetting is None or self._forgetting.done():
            # Not awaited: closing what is idle may take as long as the server that does not answer.
            self._forgetting = asyncio.create_task(self._forget(), name="forget")

    async def _forget(self) -> None:
        with suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(_FORGET):
                await self._deployment.moved()

    async def close(self) -> None:
        """Close the connection, and wait for what `lost` began."""
        await self._drop()
        if self._forgetting is not None:
            await self._forgetting

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
