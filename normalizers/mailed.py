"""What only a mail can tell: whom else it names, what checking it found, what it reports."""

from typing import Literal

import msgspec

SpfResult = Literal["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"]
DkimResult = Literal["pass", "fail", "neutral", "none", "policy", "temperror", "permerror"]
DmarcResult = Literal["pass", "fail", "none", "temperror", "permerror"]
DmarcPolicy = Literal["none", "quarantine", "reject"]


class Correspondent(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox a header names; a claim of the header, never somebody's identity by itself."""

    address: str | None = None
    name: str | None = None


class Spf(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7208: may this server send for that domain; `domain` is that of MAIL FROM, or of HELO where it is empty."""

    result: SpfResult
    domain: str | None = None
    aligned: bool = False
    """With the domain of the From header, as its DMARC policy asks; so below."""


class Dkim(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 6376: one signature."""

    result: DkimResult
    domain: str | None = None
    selector: str | None = None
    aligned: bool = False


class Dmarc(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7489: what the domain of the From header says of mail in its name."""

    result: DmarcResult
    domain: str | None = None
    policy: DmarcPolicy | None = None
    """As published; None where nothing is."""


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about who sent it."""

    source: str
    """Who checked: `gateway`, the `authserv_id` of a server in front, or the provider that took the mail in."""
    spf: Spf | None = None
    dkim: tuple[Dkim, ...] = ()
    dmarc: Dmarc | None = None


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient of a delivery report (RFC 3464)."""

    recipient: str
    """Whom the mail was sent to, where the report says so; else whom it reached."""
    action: str
    """failed, delayed, delivered, relayed or expanded."""
    status: str | None = None
    """RFC 3463: `5.1.1`."""
    diagnostic: str | None = None
    """What the server there said."""
    final_recipient: str | None = None
    """Where it ended, where a server passed it on to another address."""


class Bounce(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail server reports about a mail of ours."""

    original_message_id: str | None = None
    original_subject: str | None = None
    recipients: tuple[Undelivered, ...] = ()


class Spam(msgspec.Struct, frozen=True, kw_only=True):
    """What a server in front of us says it is; only a yes is worth telling, for anybody can write a no."""

    header: str
    score: float | None = None


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope's `mail`. Addresses are in lower case; lists keep the order of the header."""

    return_path: str | None = None
    """MAIL FROM; None for `<>` and where nobody knows."""
    sender: Correspondent | None = None
    reply_to: tuple[Correspondent, ...] = ()
    to: tuple[Correspondent, ...] = ()
    cc: tuple[Correspondent, ...] = ()
    original_sender: Correspondent | None = None
    """Who wrote what is forwarded, as the forwarder's program quotes it."""
    authentication: Authentication | None = None
    bounce: Bounce | None = None
    spam: Spam | None = None
    list_id: str | None = None
    protection: Literal["smime_signed", "smime_encrypted", "pgp_signed", "pgp_encrypted"] | None = None
    """How it is signed or sealed; nothing of that is verified or opened here."""
    signature: str | None = None
    """What was cut off the text as its writer's signature."""
    remote_images: tuple[str, ...] = ()
    """Addresses taken out of the HTML: fetching one tells its sender who read the mail, and when."""
