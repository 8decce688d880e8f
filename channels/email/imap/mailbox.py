"""The connection as the event loop uses it: every call on a thread of its own, and none outlives a stop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec, TypeVar

from channels.email.imap.connection import Connection
from channels.email.imap.settings import ImapSettings
from channels.email.imap.thread import BlockingThread

P = ParamSpec("P")
T = TypeVar("T")


class Mailbox:
    """`call(Connection.search, …)` and the like; cancelled, the connection is cut."""

    def __init__(self, settings: ImapSettings, name: str) -> None:
        self._thread = BlockingThread(name)
        self._connection = Connection(settings)

    async def call(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **options: P.kwargs) -> T:
        """What it returns or raises, on the thread."""
        connection = self._connection
        try:
            return await self._thread.do(lambda: work(connection, *args, **options))
        except asyncio.CancelledError:
            connection.abort()
            raise

    def leave(self) -> None:
        """Hang up, as soon as the thread gets to it."""
        self._connection.abort()
        self._thread.leave(self._connection.close)


@asynccontextmanager
async def opened(settings: ImapSettings, token: str | None, name: str) -> AsyncIterator[Mailbox]:
    """Connected and logged in while entered. Raises MailboxError."""
    mailbox = Mailbox(settings, name)
    try:
        await mailbox.call(Connection.open, token)
        yield mailbox
    finally:
        mailbox.leave()
