"""One SMTP session: aiosmtpd's protocol and address grammar under a command loop that loses no mail.

Stock aiosmtpd answers an exception with a permanent error that quotes it, refuses lines over 1,001 bytes and
cuts a sender who is still sending. Here every reply is one of `replies`, and nothing of ours is permanent.
"""

import asyncio
import traceback
from pathlib import Path
from typing import Final

import structlog

from channels.api import Refusal
from channels.email.smtp import replies
from channels.email.smtp.commands import COMMANDS
from channels.email.smtp.connection import SessionEnded
from channels.email.smtp.data import SmtpData

SLOW_AFTER: Final = 10
"""Errors between two messages from which on every reply waits, as Postfix's smtpd_soft_error_limit."""
MAX_ERRORS: Final = 20
"""Errors between two messages that end the session, as Postfix's smtpd_hard_error_limit."""
BEFORE_TLS: Final = frozenset({b"EHLO", b"HELO", b"NOOP", b"RSET", b"HELP"})
"""Commands that are answered without TLS where it is required, besides STARTTLS and QUIT."""

log = structlog.get_logger()


class SmtpSession(SmtpData):
    """Commands one after the other, and the messages between them."""

    async def _handle_client(self) -> None:
        try:
            await self._enter()
            await self.push(self._desk.greeting)
            while True:
                await self._serve()
        except SessionEnded as end:
            self._part(end.reply)
        finally:
            self._part(None)
            self._desk.sessions.discard(self)

    async def _serve(self) -> None:
        await self._take_turns()
        if self._desk.closing:
            raise SessionEnded(replies.SHUTTING_DOWN)
        line = await self._line()
        try:
            reply = replies.LINE_TOO_LONG if line is None else await self._answer(line)
        except SessionEnded:
            raise
        except Exception as error:  # a bug of ours is nobody's bounce
            self._set_rset_state()
            reply = (await self.handle_exception(error)).encode("ascii")
        self._commands += 1
        if reply.startswith(b"5"):
            self._errors += 1
        if self._errors >= MAX_ERRORS:
            self._desk.refused(Refusal.TOO_MANY, "too many errors")
            raise SessionEnded(replies.TOO_MANY_ERRORS)
        if self._commands > self._desk.max_commands:
            self._desk.refused(Refusal.TOO_MANY, "too many commands")
            raise SessionEnded(replies.TOO_MANY_COMMANDS)
        if self._errors > SLOW_AFTER:
            await self._dawdle()
        if reply:
            await self.push(reply)

    async def _dawdle(self) -> None:
        """Whoever makes errors by the dozen guesses addresses, or is broken: slowly, then."""
        await self._say()
        self._suspend_timeout()
        await asyncio.sleep(self._desk.error_delay)
        self._reset_timeout()

    async def handle_exception(self, error: Exception) -> str:
        """A bug of ours is nobody's bounce, and its text nobody's business: it may hold a password."""
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        log.error(
            "session.failed",
            channel="email",
            inbox=self._desk.inbox,
            error=type(error).__name__,
            where=f"{Path(frame.f_code.co_filename).name}:{line}",
        )
        return replies.TRY_LATER.decode("ascii")

    async def _answer(self, line: bytes) -> bytes:
        verb, _, argument = line.partition(b" ")
        verb = verb.strip().upper()
        try:
            text = argument.strip().decode()
        except UnicodeDecodeError:
            return replies.SYNTAX
        if verb == b"QUIT":
            raise SessionEnded(replies.CLOSING)
        if verb == b"STARTTLS":
            return await self._starttls(text)
        command = COMMANDS.get(verb)
        if command is None and verb != b"DATA":
            return replies.UNRECOGNIZED
        if self._desk.tls_required and not self._secure and verb not in BEFORE_TLS:
            return replies.TLS_FIRST
        return await self._data(text) if command is None else command(self, text)
