"""Every reply the server gives: fixed text, so that none can show an exception, a path or a host of ours."""

from collections.abc import Sequence
from typing import Final

LONGEST: Final = 510
"""Bytes of a reply line before its end (RFC 5321 section 4.5.3.1.5)."""

START_TLS = b"220 2.0.0 ready to start TLS"
CLOSING = b"221 2.0.0 goodbye"
OK = b"250 2.0.0 ok"
ACCEPTED = b"250 2.0.0 accepted"
SENDER_OK = b"250 2.1.0 sender ok"
RECIPIENT_OK = b"250 2.1.5 recipient ok"
HELP = b"214 2.0.0 RFC 5321 is spoken here"
CANNOT_VERIFY = b"252 2.5.0 addresses are not verified here, send the message"
GO_AHEAD = b"354 end with a dot on a line of its own"

BROKEN_OFF = b"421 4.3.0 cannot take the message now, try again later"
SHUTTING_DOWN = b"421 4.3.2 shutting down, try again later"
TIMED_OUT = b"421 4.4.2 timed out, goodbye"
TOO_MANY_CONNECTIONS = b"421 4.7.0 too many connections, try again later"
TOO_MANY_ERRORS = b"421 4.7.0 too many errors, goodbye"
TOO_MANY_COMMANDS = b"421 4.7.0 too many commands without a message, goodbye"
TOO_MUCH_DATA = b"421 4.7.0 far too much data, goodbye"

TOO_MANY_MESSAGES = b"450 4.7.1 too many messages in a minute, try again later"
TRY_LATER = b"451 4.3.0 cannot take the message now, try again later"
TOO_MANY_RECIPIENTS = b"452 4.5.3 too many recipients, send the rest in another message"

UNRECOGNIZED = b"500 5.5.2 command not recognized"
LINE_TOO_LONG = b"500 5.5.2 command line too long"
SYNTAX = b"501 5.5.4 syntax error in the argument"
BAD_SENDER = b"501 5.1.7 malformed sender address"
BAD_RECIPIENT = b"501 5.1.3 malformed recipient address"
NOT_IMPLEMENTED = b"502 5.5.1 command not implemented"
HELLO_FIRST = b"503 5.5.1 send EHLO first"
SENDER_FIRST = b"503 5.5.1 send MAIL first"
RECIPIENT_FIRST = b"503 5.5.1 no valid recipient yet"
SENDER_TWICE = b"503 5.5.1 sender already given"
TLS_TWICE = b"503 5.5.1 TLS is on already"
TLS_FIRST = b"530 5.7.0 send STARTTLS first"
UNKNOWN_MAILBOX = b"550 5.1.1 no such mailbox here"
FOREIGN_DOMAIN = b"550 5.7.1 no mail is taken for that domain"
TOO_BIG = b"552 5.3.4 message too big"
LOOP = b"554 5.4.6 mail loop"
UNKNOWN_PARAMETER = b"555 5.5.4 parameter not recognized"


def accepted(ids: Sequence[str]) -> bytes:
    """The reply that takes the message over, with its id in each inbox it was for, as far as there is room."""
    reply = ACCEPTED
    for message_id in ids:
        longer = reply + b" " + message_id.encode("ascii", "replace")
        if len(longer) > LONGEST:
            break
        reply = longer
    return reply


def greeting(hostname: str) -> bytes:
    """The first line: the configured name, no software."""
    return b"220 %b ESMTP" % hostname.encode("ascii")


def hello(hostname: str) -> bytes:
    """To HELO."""
    return b"250 " + hostname.encode("ascii")


def extended_hello(hostname: str, max_size: int, *, tls: bool) -> bytes:
    """To EHLO: all that may be used, and nothing that is not there (no AUTH, CHUNKING, DSN)."""
    extensions = [hostname, f"SIZE {max_size}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
    extensions += ["STARTTLS"] if tls else []
    lines = (extension.encode("ascii") for extension in extensions)
    return b"".join(b"250-%b\r\n" % line for line in lines) + b"250 ENHANCEDSTATUSCODES"
