"""A mail that has come in through one of the doors."""

from dataclasses import dataclass
from pathlib import Path

from normalizers.mailed import Authentication


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One mail for one inbox, with all its door knows about it."""

    medium: str
    """The door: smtp, imap, or the provider's name."""
    content: bytes = b""
    file: Path | None = None
    """Where the mail is, if it is too large for `content`; its door removes it after it was taken in."""
    mail_from: str = ""
    null_sender: bool = False
    """Whether the door was told that MAIL FROM is `<>`; an empty `mail_from` alone may be one that nobody knows."""
    recipients: tuple[str, ...] = ()
    peer: str | None = None
    """The address it was delivered from; None where no SMTP client is known, and so nothing to ask SPF about."""
    helo: str = ""
    authentication: Authentication | None = None
    """What a provider, whose signature was verified, found before us."""
