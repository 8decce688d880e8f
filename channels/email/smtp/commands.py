"""The commands that lead up to a message: who speaks, from whom, to whom. Each gives its reply."""

import re
from collections.abc import Callable
from typing import Final

from aiosmtpd.smtp import Envelope

from channels.api import Refusal
from channels.email.smtp import replies
from channels.email.smtp.admission import party
from channels.email.smtp.desk import Desk
from channels.email.smtp.entrance import SmtpEntrance
from channels.email.smtp.mailboxes import NotOurs

# Nearly every address; what it does not match goes to the full grammar, which takes 50 times as long.
_PLAIN_ADDRESS: Final = re.compile(r'<([^\s\x00-\x1f\x7f<>()\[\]\\,;:"]*)>(?:[ \t]+(.*))?', re.DOTALL)
LONGEST_ODD: Final = 512
"""Characters the full grammar is tried on, which takes milliseconds for them and the square of that for more; RFC 5321
allows 256."""


class Transaction(Envelope):
    """The message in the making; its sender is None until MAIL, and empty for `<>`."""

    overfull = False
    """Whether a recipient too many was reported."""


class SmtpCommands(SmtpEntrance):
    """Everything but STARTTLS, DATA and QUIT."""

    envelope: Transaction

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._settings = desk.settings
        self._helo = ""

    def _forget(self) -> None:
        self._helo = ""
        self._set_rset_state()

    def _set_rset_state(self) -> None:
        self.envelope = Transaction()

    def ehlo(self, name: str) -> bytes:
        return self._hello(name, self._desk.extended_hello(secure=self._secure))

    def helo(self, name: str) -> bytes:
        return self._hello(name, self._desk.hello)

    def _hello(self, name: str, reply: bytes) -> bytes:
        if not name:
            return replies.SYNTAX
        self._helo = name
        self._set_rset_state()
        return reply

    def mail(self, argument: str) -> bytes:
        if not self._helo:
            return replies.HELLO_FIRST
        if self.envelope.mail_from is not None:
            return replies.SENDER_TWICE
        rest = self._strip_command_keyword("FROM:", argument)
        if rest is None:
            return replies.SYNTAX
        address, parameters = self._getaddr(rest)
        if address is None or parameters is None:
            return replies.BAD_SENDER
        options = self._getparams(parameters.upper().split())
        if options is None:
            return replies.SYNTAX
        size, body, utf8 = (options.pop(*it) for it in (("SIZE", "0"), ("BODY", "7BIT"), ("SMTPUTF8", True)))
        if options:
            return replies.UNKNOWN_PARAMETER
        if body not in ("7BIT", "8BITMIME") or utf8 is not True or not _is_number(size):
            return replies.SYNTAX
        if int(size) > self._settings.max_size:
            self._desk.refused(Refusal.OVERSIZED, "message announced too big")
            return replies.TOO_BIG
        if self._settings.max_rate and not self._desk.rates.take(party(self._peer)):
            self._desk.refused(Refusal.TOO_MANY, "too many messages")
            return replies.TOO_MANY_MESSAGES
        self.envelope.mail_from = address
        return replies.SENDER_OK

    def rcpt(self, argument: str) -> bytes:
        if self.envelope.mail_from is None:
            return replies.SENDER_FIRST
        rest = self._strip_command_keyword("TO:", argument)
        if rest is None:
            return replies.SYNTAX
        address, parameters = self._getaddr(rest)
        if not address:
            return replies.BAD_RECIPIENT
        if parameters:
            return replies.UNKNOWN_PARAMETER
        found = self._desk.mailboxes.find(address)
        if isinstance(found, NotOurs):
            self._desk.refused(Refusal.FORGED, found.value)
            return replies.FOREIGN_DOMAIN if found is NotOurs.DOMAIN else replies.UNKNOWN_MAILBOX
        _, recipient = found
        recipients = self.envelope.rcpt_tos
        if recipient not in recipients:
            if len(recipients) >= self._settings.max_recipients:
                if not self.envelope.overfull:
                    self._desk.refused(Refusal.TOO_MANY, "too many recipients")
                self.envelope.overfull = True
                return replies.TOO_MANY_RECIPIENTS
            recipients.append(recipient)
        return replies.RECIPIENT_OK

    def rset(self, _: str) -> bytes:
        self._set_rset_state()
        return replies.OK

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Address and the rest; both None where it is malformed. Takes local names without a domain too."""
        if plain := _PLAIN_ADDRESS.fullmatch(arg):
            return plain[1], plain[2] or ""
        if len(arg) > LONGEST_ODD:
            return None, None
        try:
            address, rest = super()._getaddr(arg)
        except Exception:  # email._header_value_parser raises whatever it stumbles over, RecursionError too
            return None, None
        return (address, rest) if address and address.isprintable() else (None, None)


def _is_number(value: str | bool) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


Command = Callable[[SmtpCommands, str], bytes]


def _always(reply: bytes) -> Command:
    return lambda session, argument: reply


COMMANDS: Final[dict[bytes, Command]] = {
    b"EHLO": SmtpCommands.ehlo,
    b"HELO": SmtpCommands.helo,
    b"MAIL": SmtpCommands.mail,
    b"RCPT": SmtpCommands.rcpt,
    b"RSET": SmtpCommands.rset,
    b"NOOP": _always(replies.OK),
    b"HELP": _always(replies.HELP),
    b"VRFY": _always(replies.CANNOT_VERIFY),
    **dict.fromkeys((b"EXPN", b"AUTH", b"BDAT", b"ETRN"), _always(replies.NOT_IMPLEMENTED)),
}
