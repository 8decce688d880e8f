"""One SMTP session: aiosmtpd's protocol and address grammar under a command loop that loses no mail.

Stock aiosmtpd answers an exception with a permanent error that quotes it, refuses lines over 1,001 bytes and
cuts a sender who is still sending. Here every reply is one of `replies`, and nothing of ours is permanent.
"""

import asyncio
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from channels.api import Refusal
from channels.email.arrival import Arrival
from channels.email.smtp import replies
from channels.email.smtp.commands import COMMANDS, SmtpCommands
from channels.email.smtp.connection import SessionEnded
from channels.email.smtp.data_reader import DataReader
from channels.email.smtp.desk import Desk
from channels.email.smtp.hops import is_loop

MAX_ERRORS: Final = 20
"""Errors between two messages, as Postfix's smtpd_hard_error_limit."""
FAR_TOO_BIG: Final = 2
"""Times the limit that is read, and forgotten, before a sender is cut off."""
LARGE: Final = 1_000_000
"""Bytes of a message from which on a thread puts it together: 35 MB take longer than the others may wait."""

log = structlog.get_logger()


class SmtpSession(SmtpCommands):
    """Commands one after the other, and the messages between them."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._commands = 0
        self._errors = 0
        self._held = 0

    async def _handle_client(self) -> None:
        try:
            await self.push(self._desk.greeting)
            while True:
                await self._serve()
        except SessionEnded as end:
            self._part(end.reply)
        finally:
            self._part(None)
            self._desk.sessions.discard(self)

    async def _serve(self) -> None:
        if self._desk.closing:
            raise SessionEnded(replies.SHUTTING_DOWN)
        line = await self._line()
        try:
            reply = replies.LINE_TOO_LONG if line is None else await self._answer(line)
        except SessionEnded:
            raise
        except Exception as error:
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
        await self.push(reply)

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
        if verb == b"DATA":
            return await self._data(text)
        if verb == b"QUIT":
            raise SessionEnded(replies.CLOSING)
        command = COMMANDS.get(verb)
        return replies.UNRECOGNIZED if command is None else command(self, text)

    async def _data(self, argument: str) -> bytes:
        if argument:
            return replies.SYNTAX
        if self.envelope.mail_from is None:
            return replies.SENDER_FIRST
        if not self.envelope.rcpt_tos:
            return replies.RECIPIENT_FIRST
        await self.push(replies.GO_AHEAD)
        try:
            body = DataReader(self._settings.max_size)
            if not await self._receive(body):
                return replies.TRY_LATER
            self._suspend_timeout()
            return await self._hand_over(body)
        finally:
            self._reset_timeout()
            self._room_for(0)
            self._set_rset_state()

    async def _receive(self, body: DataReader) -> bool:
        """Reads to the end of the data; whether there was room in memory for it."""
        began, idle, room = self.loop.time(), self._desk.idle_timeout, True
        chunk = bytes(self._input)
        self._input.clear()
        while (rest := body.feed(chunk)) is None:
            if not self._room_for(body.size):
                room = False
                body.discard()
            if body.received > FAR_TOO_BIG * self._settings.max_size:
                self._desk.refused(Refusal.OVERSIZED, "message far too big")
                raise SessionEnded(replies.TOO_MUCH_DATA)
            elapsed = self.loop.time() - began
            if elapsed > idle and body.received < elapsed * self._settings.minimum_rate:
                raise SessionEnded(replies.TIMED_OUT)
            self._reset_timeout()
            chunk = await self._more()
        self._input += rest
        return room and self._room_for(body.size)

    async def _hand_over(self, body: DataReader) -> bytes:
        content = await asyncio.to_thread(body.message) if body.size > LARGE else body.message()
        if content is None:
            self._desk.refused(Refusal.OVERSIZED, "message too big")
            return replies.TOO_BIG
        if is_loop(content):
            self._desk.refused(Refusal.LOOP, "mail loop")
            return replies.LOOP
        if not self._room_for(len(content)):  # mended line ends take more than was sent
            return replies.TRY_LATER
        arrival = Arrival(
            medium="smtp",
            content=content,
            mail_from=self.envelope.mail_from or "",
            recipients=tuple(self.envelope.rcpt_tos),
            peer=self._peer,
        )
        reply = await self._desk.deliver(arrival, self._leave_room())
        self._commands = self._errors = 0
        return reply

    def _leave_room(self) -> Callable[[], None]:
        """What this session holds is now to be released by calling the result, once."""
        held, self._held = self._held, 0
        return partial(self._desk.admission.release, held)

    def _room_for(self, size: int) -> bool:
        """Whether this session may hold so many bytes, all told."""
        grown = size - self._held
        if grown > 0 and not self._desk.admission.hold(grown):
            return False
        if grown < 0:
            self._desk.admission.release(-grown)
        self._held = size
        return True
