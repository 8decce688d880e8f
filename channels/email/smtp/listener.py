"""A listener of the SMTP server and the inboxes behind it: one session may bring mail for several of them."""

import asyncio
import errno
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from channels.api import Outcome, Receipt
from channels.email.arrival import Arrival
from channels.email.smtp import replies
from channels.email.smtp.certificate import Certificate
from channels.email.smtp.desk import Desk, Taker
from channels.email.smtp.mailboxes import NotOurs, Sorting
from channels.email.smtp.session import SmtpSession
from channels.in_hand import InHand

DRAIN_TIMEOUT: Final = 10.0
"""Seconds from the closing of the listener until whoever is still under way is cut."""
BACKLOG: Final = 512


class Listeners:
    """Those of a gateway, by where they listen."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, int], Listener] = {}

    def join(self, taker: Taker, endpoint: tuple[str, int], *, scratch: Path, shared_port: bool) -> "Listener":
        """The listener an inbox shares with those that named the same endpoint; before any of them is opened."""
        listener = self._listeners.get(endpoint)
        if listener is None:
            listener = Listener(endpoint, scratch=scratch, shared_port=shared_port)
            if endpoint[1]:  # every listener on port 0 has a port of its own
                self._listeners[endpoint] = listener
        listener.join(taker)
        return listener


class Listener:
    """Opened by the first of its inboxes, closed and drained by the first that leaves; all of them call both."""

    address: tuple[str, int]
    """Where it listens, once it is open."""

    def __init__(self, endpoint: tuple[str, int], *, scratch: Path, shared_port: bool) -> None:
        self._endpoint, self._scratch, self._shared_port = endpoint, scratch, shared_port
        self._takers: list[Taker] = []
        self._in_hand = InHand()
        self._accept_timeout = 0.0
        self._mailboxes: Sorting[Taker] = Sorting([])
        self._open: tuple[Desk, asyncio.Server] | None = None
        self._drained = asyncio.Event()
        self._drained.set()

    def join(self, taker: Taker) -> None:
        """One inbox more."""
        self._takers.append(taker)

    async def open(self) -> None:
        """Raises OSError in an operator's words where it cannot listen."""
        if self._open is None:
            desk = self.desk()
            server = await self._listen(desk)
            self._open = desk, server
            self._drained.clear()
            self.address = server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """Nothing new is taken from the first call on; returns when what was in hand is finished, or cut."""
        if self._open is None:
            await self._drained.wait()
            return
        (desk, server), self._open = self._open, None
        _stop_taking(desk, server)
        try:
            await self._drain(desk, server)
        finally:
            self._drained.set()

    def desk(self) -> Desk:
        """What the sessions are served from; in the running event loop. Raises OSError for a bad certificate."""
        all_settings = [taker.settings for taker in self._takers]
        settings = all_settings[0].sharing(all_settings)
        self._accept_timeout = settings.accept_timeout.total_seconds()
        self._mailboxes = Sorting([(taker, taker.settings.recipients) for taker in self._takers])
        return Desk(
            takers=self._takers,
            mailboxes=self._mailboxes,
            settings=settings,
            deliver=self._deliver,
            scratch=self._scratch,
            certificate=Certificate(settings.tls) if settings.tls else None,
        )

    async def _listen(self, desk: Desk) -> asyncio.Server:
        host, port = self._endpoint
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(
                lambda: SmtpSession(desk), host, port, backlog=BACKLOG, reuse_port=self._shared_port
            )
        except OSError as error:
            why = _WHY_NOT.get(error.errno or 0, "cannot be listened on")
            raise OSError(f"{desk.settings.listen} {why}") from error

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
            receipts = await self._in_hand.run(self._take_in(arrival, done), within=self._accept_timeout)
        except TimeoutError:
            return replies.TRY_LATER
        return _reply(receipts)

    async def _take_in(self, arrival: Arrival, done: Callable[[], None]) -> Sequence[Receipt]:
        """A receipt of each inbox it is for. All have finished before one's exception is raised."""
        try:
            parts = self._parts(arrival)
            if len(parts) == 1:
                return [await taker.take(part) for taker, part in parts]
            taken = await asyncio.gather(*(taker.take(part) for taker, part in parts), return_exceptions=True)
            if failed := next((one for one in taken if isinstance(one, BaseException)), None):
                raise failed
            return [one for one in taken if not isinstance(one, BaseException)]
        finally:
            done()

    def _parts(self, arrival: Arrival) -> Sequence[tuple[Taker, Arrival]]:
        """The mail as each inbox gets it, with those of its recipients that are the inbox's."""
        if len(self._takers) == 1:
            return [(self._takers[0], arrival)]
        recipients: dict[Taker, list[str]] = {}
        for recipient in arrival.recipients:
            found = self._mailboxes.find(recipient)
            assert not isinstance(found, NotOurs)
            recipients.setdefault(found[0], []).append(recipient)
        return [(taker, replace(arrival, recipients=tuple(own))) for taker, own in recipients.items()]


def _stop_taking(desk: Desk, server: asyncio.Server) -> None:
    """Nobody new comes in, and whoever is between two commands is told at once."""
    desk.closing = True
    server.close()
    for session in tuple(desk.sessions):
        session.dismiss()


def _reply(receipts: Sequence[Receipt]) -> bytes:
    """One that is true for all: yes only where all have it. A retry is a duplicate for those that had."""
    if any(receipt.outcome is Outcome.DEFERRED for receipt in receipts):
        return replies.TRY_LATER
    # Rejected is kept as a dead letter: ours to look at, and never a bounce.
    return replies.accepted([receipt.references[0].id for receipt in receipts if receipt.references])


_WHY_NOT: Final = {
    errno.EADDRINUSE: "is taken: another gateway or mail server listens there",
    errno.EACCES: "is not allowed: ports below 1024 need a privilege, use one above",
    errno.EADDRNOTAVAIL: "is not an address of this machine",
}
