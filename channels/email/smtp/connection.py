"""The connection under an SMTP session: its life, its time limits, its bytes in and out.

Built on private parts of aiosmtpd 1.4.6: look here first when a newer release misbehaves.
"""

import asyncio
import logging
import math
import time
import types
from collections.abc import Generator
from typing import AnyStr, Final, cast

from aiosmtpd.smtp import SMTP

from channels.api import Refusal
from channels.email.smtp import replies
from channels.email.smtp.desk import Desk
from channels.email.smtp.proxied import plain

BUFFER: Final = 64 * 1024
MAX_LINE: Final = 4096
"""Bytes of a command line; RFC 5321 asks for 512 and somewhat more with every extension."""
TURN: Final = 0.01
"""Seconds of one client's commands, sent in one piece, until others have theirs."""
PARTING_GRACE: Final = 5.0
"""Seconds a client has to take our last words."""

# It logs peers and addresses at INFO.
logging.getLogger("mail.log").setLevel(logging.WARNING)


class SessionEnded(Exception):
    """Nothing more to serve here; with our last words, unless the client has gone."""

    def __init__(self, reply: bytes | None = None) -> None:
        self.reply = reply


class SmtpConnection(SMTP):
    """Admitted or turned away; then bytes in, replies out, and cut when nothing comes for too long."""

    def __init__(self, desk: Desk) -> None:
        self.__dict__.update(desk.prototype)
        reader = asyncio.StreamReader(limit=BUFFER, loop=self.loop)
        asyncio.StreamReaderProtocol.__init__(self, reader, self._cb_client_connected, self.loop)
        self._desk = desk
        self._wire: asyncio.Transport | None = None
        self._peer = ""
        self._for_others = False
        self._admitted: str | None = None
        self._secure = False
        self._input = bytearray()
        self._said = bytearray()
        self._deadline = math.inf
        self._between_commands = False
        self._turn = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the session, or says why not."""
        # uvloop's transports are no subclass of asyncio's.
        wire = cast("asyncio.Transport", transport)
        name = wire.get_extra_info("peername")
        self._peer = plain(name[0]) if isinstance(name, tuple) else ""
        self._for_others = self._desk.balancers.has(self._peer)
        counted = "" if self._for_others else self._peer
        if self._desk.closing:
            self._turn_away(wire, replies.SHUTTING_DOWN)
        elif not self._desk.admission.enter(counted):
            self._desk.refused(Refusal.TOO_MANY, "too many connections")
            self._turn_away(wire, replies.TOO_MANY_CONNECTIONS)
        else:
            self._wire, self._admitted = wire, counted
            self._desk.sessions.add(self)
            super().connection_made(wire)

    def _turn_away(self, wire: asyncio.Transport, reply: bytes) -> None:
        if not self._desk.tls_first:
            wire.write(reply + b"\r\n")
        wire.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Ends the input, not the session.

        aiosmtpd cancels the session here, and with it a message whose sender hung up after the dot. The
        error stays here too: told of it, the reader would forget what had come before.
        """
        if self._wire is None:
            return
        self._leave()
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        asyncio.StreamReaderProtocol.connection_lost(self, None)
        self.transport = self._wire = None

    def _leave(self) -> None:
        if self._admitted is not None:
            self._desk.admission.leave(self._admitted)
            self._admitted = None

    def eof_received(self) -> bool | None:
        """Half closed: what is in the buffer is still served. TLS knows no half."""
        return asyncio.StreamReaderProtocol.eof_received(self)

    @property
    def task(self) -> "asyncio.Task[None]":
        """Ends with the session."""
        assert self._handler_coroutine is not None
        return self._handler_coroutine

    def dismiss(self) -> None:
        """Shutting down: over now if between two commands, else the session sees to it itself."""
        if self._between_commands:
            self._part(replies.SHUTTING_DOWN)

    def abort(self) -> None:
        """Over, whatever it is doing."""
        self.task.cancel()
        if self._wire is not None:
            self._wire.abort()

    def _part(self, reply: bytes | None) -> None:
        wire = self._wire
        if wire is None or wire.is_closing():
            return
        if last := bytes(self._said) + (b"" if reply is None else reply + b"\r\n"):
            wire.write(last)
        self._said.clear()
        wire.close()
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        # One who does not read would keep a closing transport for ever.
        self._timeout_handle = self.loop.call_later(PARTING_GRACE, wire.abort)

    def _reset_timeout(self, duration: float | None = None) -> None:
        # A deadline and one lazy timer: a new timer for every line would cost more than the line.
        self._deadline = self.loop.time() + (duration or self._desk.idle_timeout)
        if self._timeout_handle is None:
            self._timeout_handle = self.loop.call_later(self._desk.idle_timeout, self._timeout_cb)

    def _suspend_timeout(self) -> None:
        """While we are the one who is waited for."""
        self._deadline = math.inf

    def _timeout_cb(self) -> None:
        left = self._deadline - self.loop.time()
        if left > 0:
            pause = min(left, self._desk.idle_timeout)
            self._timeout_handle = self.loop.call_later(pause, self._timeout_cb)
        else:
            self._part(replies.TIMED_OUT)

    async def push(self, status: AnyStr) -> None:
        """Said before the next wait: a client that sends commands in one piece hears the replies in one (RFC 2920)."""
        self._said += (status if isinstance(status, bytes) else status.encode("ascii", "replace")) + b"\r\n"

    async def _say(self) -> None:
        """Raises `SessionEnded` where nobody listens any more."""
        if not self._said:
            return
        self._writer.write(bytes(self._said))
        self._said.clear()
        try:
            await self._writer.drain()
        except ConnectionError:
            raise SessionEnded from None

    async def _more(self) -> bytes:
        """What came in, at least a byte; raises `SessionEnded` at the end of the input."""
        await self._say()
        chunk = await self._reader.read(4 * BUFFER)
        if not chunk:
            raise SessionEnded
        self._turn = time.monotonic()
        return chunk

    async def _take_turns(self) -> None:
        if time.monotonic() - self._turn > TURN:
            await _others_first()
            self._turn = time.monotonic()

    async def _line(self) -> bytes | None:
        """The next command line without its end; None for one too long, which is skipped.

        All of it must come within the idle timeout: a byte now and then is no sign of life.
        """
        self._reset_timeout()
        fits = True
        while (end := self._input.find(b"\n")) < 0:
            if len(self._input) > MAX_LINE:
                fits = False
                self._input.clear()
            self._between_commands = True
            try:
                self._input += await self._more()
            finally:
                self._between_commands = False
        line = bytes(self._input[:end]) if fits and end <= MAX_LINE else None
        del self._input[: end + 1]
        return line


@types.coroutine
def _others_first() -> Generator[None, None, None]:
    """Until the event loop has been round once."""
    yield
