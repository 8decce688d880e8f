"""The email inbox: listens, admits, and says what became of a message in SMTP's words."""

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp.web import RouteDef

from channels.api import Host, Outcome, Receipt
from channels.email import replies
from channels.email.desk import Desk
from channels.email.settings import EmailSettings
from channels.email.smtp import SmtpSession
from channels.in_hand import InHand
from normalizers.email import MailPayload

DRAIN_TIMEOUT: Final = 20.0
"""Seconds for what is in hand when the inbox closes."""
BACKLOG: Final = 512


class EmailAdapter:
    """One inbox, one listener. `address` is where it listens, once the lifespan is entered."""

    address: tuple[str, int]

    def __init__(self, settings: EmailSettings, host: Host[MailPayload]) -> None:
        self._settings = settings
        self._host = host
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
            desk.closing = True
            server.close()
            await self._drain(desk)
            await server.wait_closed()

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
            return await loop.create_server(lambda: SmtpSession(desk), host, port, backlog=BACKLOG)
        except OSError as error:
            why = _WHY_NOT.get(error.errno or 0, "cannot be listened on")
            raise OSError(f"{self._settings.listen} {why}") from error

    async def _drain(self, desk: Desk) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DRAIN_TIMEOUT
        for session in tuple(desk.sessions):
            session.dismiss()
        if desk.sessions:
            await asyncio.wait([session.task for session in desk.sessions], timeout=DRAIN_TIMEOUT)
        await self._in_hand.drain(max(deadline - loop.time(), 0))
        if late := tuple(desk.sessions):
            for session in late:
                session.abort()
            await asyncio.wait([session.task for session in late])

    async def _deliver(self, mail: MailPayload) -> bytes:
        try:
            async with asyncio.timeout(self._accept_timeout):
                receipt = await self._in_hand.run(self._host.intake(mail))
        except TimeoutError:
            return replies.TRY_LATER
        return _reply(receipt)


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
