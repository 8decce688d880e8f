"""The message of an SMTP transaction: taken in while it arrives, and handed over whole."""

from typing import Final

from channels.api import Refusal
from channels.email.arrival import Arrival
from channels.email.smtp import replies
from channels.email.smtp.commands import SmtpCommands
from channels.email.smtp.connection import SessionEnded
from channels.email.smtp.desk import Desk
from channels.email.smtp.hops import is_loop
from channels.email.smtp.incoming import Incoming

FAR_TOO_BIG: Final = 2
"""Times the limit that is read, and forgotten, before a sender is cut off."""


class SmtpData(SmtpCommands):
    """DATA."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._commands = 0
        self._errors = 0

    async def _data(self, argument: str) -> bytes:
        if argument:
            return replies.SYNTAX
        if self.envelope.mail_from is None:
            return replies.SENDER_FIRST
        if not self.envelope.rcpt_tos:
            return replies.RECIPIENT_FIRST
        await self.push(replies.GO_AHEAD)
        mail = Incoming(self._desk)
        try:
            await self._receive_or_part(mail)
            self._suspend_timeout()
            return mail.no_room or await self._hand_over(mail)
        finally:
            self._reset_timeout()
            mail.close()
            self._set_rset_state()

    def _arrival(self, mail: Incoming) -> Arrival:
        return Arrival(
            medium="smtp",
            content=mail.content,
            file=mail.file.path if mail.file else None,
            mail_from=self.envelope.mail_from or "",
            null_sender=not self.envelope.mail_from,
            recipients=tuple(self.envelope.rcpt_tos),
            peer=self._peer or None,
            helo=self._helo,
        )

    async def _receive_or_part(self, mail: Incoming) -> None:
        """What goes wrong in the middle ends the session: the rest of the mail would be read as commands."""
        try:
            await self._receive(mail)
        except SessionEnded:
            raise
        except Exception as bug:  # whatever it is, such as no thread to be had
            await self.handle_exception(bug)
            raise SessionEnded(replies.BROKEN_OFF) from None

    async def _receive(self, mail: Incoming) -> None:
        """Reads to the end of the data, whether or not there is room for it."""
        began, idle = self.loop.time(), self._desk.idle_timeout
        chunk = bytes(self._input)
        self._input.clear()
        while (rest := await mail.feed(chunk)) is None:
            if mail.received > FAR_TOO_BIG * self._settings.max_size:
                self._desk.refused(Refusal.OVERSIZED, "message far too big")
                raise SessionEnded(replies.TOO_MUCH_DATA)
            elapsed = self.loop.time() - began
            if elapsed > idle and mail.received < elapsed * self._settings.minimum_rate:
                raise SessionEnded(replies.TIMED_OUT)
            self._reset_timeout()
            chunk = await self._more()
        self._input += rest

    async def _hand_over(self, mail: Incoming) -> bytes:
        if not mail.finish():
            self._desk.refused(Refusal.OVERSIZED, "message too big")
            return replies.TOO_BIG
        if mail.no_room is not None:
            return mail.no_room
        if is_loop(await mail.head(), self._desk.mailboxes.has):
            self._desk.refused(Refusal.LOOP, "mail loop")
            return replies.LOOP
        mail.leave()
        reply = await self._desk.deliver(self._arrival(mail), mail.release)
        self._commands = self._errors = 0
        return reply
