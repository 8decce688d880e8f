"""What can go wrong with a mailbox, in fixed words: what a server says may quote a mail or an address."""

import re
from typing import Final

CLOSED: Final = "closed"
LOST: Final = "connection lost"
GOODBYE: Final = "the server said goodbye"
NEWS: Final = "news at the wrong moment"
NONSENSE: Final = "answers that are no IMAP"
NOT_NOW: Final = "no login for the moment"
NO_FOLDER: Final = "no folder can be opened"
NO_GREETING: Final = "no greeting of an IMAP server"
NO_TLS: Final = "no TLS"
REFUSED: Final = "command refused"
SILENT: Final = "no answer in time"
THROTTLED: Final = "throttled"
UNKNOWN_HOST: Final = "unknown host"
UNTRUSTED: Final = "certificate not trusted"

_THROTTLED = re.compile(
    r"throttl|\[(?:limit|overquota|inuse)\]|too many (?:simultaneous )?(?:connections|commands|requests)", re.I
)
_BACKOFF = re.compile(r"backoff time:?\s*(\d{1,9})\s*milliseconds", re.I)  # Exchange Online
_PASSING = re.compile(r"\[(?:unavailable|serverbug|contactadmin)\]|temporar|try again|internal error", re.I)


class MailboxError(Exception):
    """The mailbox cannot be read as it should; `word` says why, for a log."""

    word = REFUSED


class LinkDown(MailboxError):
    """The connection is of no more use."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Throttled(LinkDown):
    """The server asks to be left alone; for `seconds`, where it says how long."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(THROTTLED)
        self.seconds = seconds


class LoginRefused(MailboxError):
    """The user, the password or the token is wrong: trying often may have the account locked."""

    word = "login refused"


class Refused(MailboxError):
    """The server says no to one command; the connection is as good as before."""


class NoIdle(MailboxError):
    """IDLE is offered and not given."""

    word = "IDLE refused"


class Unfetched(MailboxError):
    """A mail that is there is not given out."""

    word = "a mail is not given out"


def login_failed(said: str) -> MailboxError:
    """Whether a refusal is of the moment, or of the credentials."""
    if _THROTTLED.search(said):
        return translated(said, lost=False)
    return LinkDown(NOT_NOW) if _PASSING.search(said) else LoginRefused()


def translated(said: str, *, lost: bool) -> MailboxError:
    """What an answer, or a connection that is `lost`, means."""
    if _THROTTLED.search(said):
        backoff = _BACKOFF.search(said)
        return Throttled(int(backoff[1]) / 1000 if backoff else None)
    if "got more than" in said or "unexpected" in said:  # what imaplib says of it
        return LinkDown(NONSENSE)
    if lost:
        return LinkDown(LOST if "EOF" in said or "socket" in said else GOODBYE)
    return Refused()
