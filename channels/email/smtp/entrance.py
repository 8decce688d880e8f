"""How a session begins, and begins anew: who is really there, and encrypted.

Built on private parts of asyncio's streams, as `connection` is: `loop.start_tls` would lose what a client sent ahead.
"""

import asyncio
from asyncio.sslproto import SSLProtocol
from typing import Any, cast

import structlog

from channels.api import Refusal
from channels.email.smtp import replies
from channels.email.smtp.connection import SessionEnded, SmtpConnection
from channels.email.smtp.proxied import NoClient, read_client

log = structlog.get_logger()


class SmtpEntrance(SmtpConnection):
    """The PROXY header, and TLS from the start or by STARTTLS."""

    async def _enter(self) -> None:
        """Raises `SessionEnded` for whoever cannot."""
        if self._for_others:
            await self._ask_for_client()
        if self._desk.tls_first:
            await self._encrypt()

    async def _ask_for_client(self) -> None:
        self._suspend_timeout()
        try:
            client = await read_client(self._reader)
        except NoClient as nobody:
            if not nobody.silent:
                self._desk.refused(Refusal.FORGED, "no PROXY header")
            raise SessionEnded from None
        if self._wire is None:
            raise SessionEnded
        self._leave()
        self._peer = self._peer if client is None else client
        if not self._desk.admission.enter(self._peer):
            self._desk.refused(Refusal.TOO_MANY, "too many connections")
            raise SessionEnded(None if self._desk.tls_first else replies.TOO_MANY_CONNECTIONS)
        self._admitted = self._peer
        self._reset_timeout()

    async def _starttls(self, argument: str) -> bytes:
        """The reply, or nothing where TLS is on now; what was said before is forgotten (RFC 3207 section 4.2)."""
        if self._desk.certificate is None:
            return replies.NOT_IMPLEMENTED
        if self._secure:
            return replies.TLS_TWICE
        if argument:
            return replies.SYNTAX
        if self._wire is None or self._wire.is_closing():
            raise SessionEnded
        # Nothing is read between our word and the handshake: what came unencrypted must not pass for encrypted later
        # (CVE-2024-34083), and what comes next is the client's first word of TLS.
        self._wire.pause_reading()
        self._private._paused = True
        self._private._buffer.clear()
        self._input.clear()
        self._forget()
        await self.push(replies.START_TLS)
        await self._say()
        await self._encrypt()
        return b""

    def _forget(self) -> None:
        """Whom the client said to be, and the message in the making."""
        raise NotImplementedError

    @property
    def _private(self) -> Any:
        """The stream the session reads from, with what asyncio keeps to itself."""
        return self._reader

    async def _encrypt(self) -> None:
        """Raises `SessionEnded` where the handshake fails, or takes longer than a silent client has."""
        wire, certificate = self._wire, self._desk.certificate
        if wire is None or wire.is_closing() or certificate is None or self._private._eof:
            raise SessionEnded
        self._suspend_timeout()
        ahead = bytes(self._private._buffer)
        self._private._buffer.clear()
        shaken: asyncio.Future[None] = self.loop.create_future()
        layer: Any = SSLProtocol(
            self.loop,
            self,
            certificate.context(),
            shaken,
            server_side=True,
            call_connection_made=False,
            ssl_handshake_timeout=cast(Any, self._desk.idle_timeout),  # a fraction will do, whatever the stubs say
        )
        secure = layer._app_transport
        self._write_through(secure)
        try:
            wire.set_protocol(layer)
            layer.connection_made(wire)
            _feed(layer, ahead)
            if self._private._paused:
                self._private._paused = False
                wire.resume_reading()
            await shaken
            if secure.get_extra_info("ssl_object") is None:
                raise ConnectionResetError
        except BaseException as error:
            self.connection_lost(None)  # until the handshake is done, the layer keeps a loss to itself
            wire.abort()
            if not isinstance(error, Exception):
                raise
            log.info("handshake.failed", channel="email", inbox=self._desk.inbox, error=type(error).__name__)
            raise SessionEnded from None
        self._wire, self.transport, self._secure = secure, secure, True
        self._reset_timeout()

    def _write_through(self, transport: Any) -> None:
        streams: Any = self
        streams._over_ssl = True
        streams._transport = self._private._transport = streams._writer._transport = transport


def _feed(layer: Any, data: bytes) -> None:
    """What was read before the layer was there."""
    while data:
        room = layer.get_buffer(len(data))
        piece, data = data[: len(room)], data[len(room) :]
        room[: len(piece)] = piece
        layer.buffer_updated(len(piece))
