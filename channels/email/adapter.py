"""The email inbox: listens, admits, and says what became of a message in SMTP's words."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp.web import RouteDef

from channels.api import Host, Outcome, Receipt
from channels.email.arrival import Arrival, Reception
from channels.email.settings import EmailSettings
from channels.email.smtp import replies
from channels.email.smtp.desk import Desk
from channels.email.smtp.session import SmtpSession
from channels.in_hand import InHand
from normalizers.email import MailPayload

DRAIN_TIMEOUT: Final = 10.0
"""Seconds from the closing of the inbox until whoever is still under way is cut."""
BACKLOG: Final = 512


class EmailAdapter:
    """One inbox, one listener. `address` is where it listens, once the lifespan is entered."""

    address: tuple[str, int]

    def __init__(self, settings: EmailSettings, host: Host[MailPayload]) -> None:
        self._settings = settings
        self._host = host
        self._reception = Reception(settings, host)
        self._in_hand = InHand()
        self._accept_timeout = settings.accept_timeout.total_seconds()

    def routes(self) -> Sequence[RouteDef]:
        """None: mail comes by SMTP."""
        return ()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Raises OSError in an operator's words where it cannot listen."""
        desk = self.desk()
        server = await self._listen(desk)
        self.address = server.sockets[0].getsockname()[:2]
        try:
            yield
        finally:
            _stop_taking(desk, server)
            await self._drain(desk, server)

    def desk(self) -> Desk:
        """What the sessions of this inbox are served from; in the running event loop."""
        return Desk(
            inbox=self._host.inbox,
            settings=self._settings,
            deliver=self._deliver,
            refused=self._host.refused,
        )

    async def _listen(self, desk: Desk) -> asyncio.Server:
        host, port = self._settings.endpoint
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                lambda: SmtpSession(desk), host, port, backlog=BACKLOG, reuse_port=self._host.shared_port
            )
        except OSError as error:
            why = _WHY_NOT.get(error.errno or 0, "cannot be listened on")
            raise OSError(f"{self._settings.listen} {why}") from error

    async def _drain(self, desk: Desk, server: asyncio.Server) -> None:
        """What is under way may finish; then, or when this is cancelled, nobody stays connected."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_TIMEOUT):
                    if desk.sessions:
                        await asyncio.wait([session.task for session in desk.sessions])
                    await self._in_hand.drain(DRAIN_TIMEOUT)
                    await server.wait_closed()
        finally:
            late = tuple(desk.sessions)
            for session in late:
                session.abort()
        if late:
            await asyncio.wait([session.task for session in late])

    async def _deliver(self, arrival: Arrival, done: Callable[[], None]) -> bytes:
        try:
            async with asyncio.timeout(self._accept_timeout):
                receipt = await self._in_hand.run(self._take_in(arrival, done))
        except TimeoutError:
            return replies.TRY_LATER
        return _reply(receipt)

    async def _take_in(self, arrival: Arrival, done: Callable[[], None]) -> Receipt:
        try:
            return await self._reception.take(arrival)
        finally:
            done()


def _stop_taking(desk: Desk, server: asyncio.Server) -> None:
    """Nobody new comes in, and whoever is between two commands is told at once."""
    desk.closing = True
    server.close()
    for session in tuple(desk.sessions):
        session.dismiss()


def _reply(receipt: Receipt) -> bytes:
    match receipt.outcome:
        # Rejected is kept as a dead letter: ours to look at, and never a bounce.
        case Outcome.ACCEPTED | Outcome.REJECTED:
            return replies.accepted(receipt.references[0].id if receipt.references else None)
        case Outcome.DEFERRED:
            return replies.TRY_LATER


_WHY_NOT: Final = {
    errno.EADDRINUSE: "is taken: another gateway or mail server listens there",
    errno.EACCES: "is not allowed: ports below 1024 need a privilege, use one above",
    errno.EADDRNOTAVAIL: "is not an address of this machine",
}
