"""Message: what was said, and what the channel proved about who said it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from normalizers.mailed import Mail


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with a payload, in words its sender understands."""

    pointer: str
    """JSON pointer (RFC 6901) to the value, `""` for the payload as a whole."""
    code: str
    """Stable and lower case (`required`, `invalid_email`); pages translate by it."""
    message: str
    """One English sentence; never quotes the value."""


class Malformed(Exception):
    """The payload breaks the channel's own rules. The gateway keeps it whole as a dead letter."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{p.pointer or 'payload'}: {p.message}" for p in problems))
        self.problems = problems


class Incomplete(Malformed):
    """The sender is there, still has what they typed, and can mend it at once: told, counted, not buried."""


class Kind(StrEnum):
    """What happened; the middle word of the envelope's type."""

    MESSAGE = "message"
    EDIT = "edit"
    DELETE = "delete"
    CALLBACK = "callback"
    CALL = "call"
    OPT_OUT = "opt_out"
    BOUNCE = "bounce"
    ATTACHMENT = "attachment"
    NOTICE = "notice"


class Proof(StrEnum):
    """How far the channel vouches for the requester, weakest first."""

    SUSPECT = "suspect"
    """Evidence against: a From with several mailboxes, DMARC fail, a bad identity token."""
    ANONYMOUS = "anonymous"
    CLAIMED = "claimed"
    """Typed into a form, an unauthenticated From, a caller ID."""
    PLATFORM = "platform"
    """The vendor vouches for the account."""
    VERIFIED = "verified"
    """Mail with aligned DKIM or SPF, a signed web identity."""

    def reaches(self, minimum: "Proof") -> bool:
        """Whether this is at least as strong as `minimum`."""
        return _STRENGTH[self] >= _STRENGTH[minimum]


_STRENGTH = {proof: rank for rank, proof in enumerate(Proof)}


class Address(msgspec.Struct, frozen=True):
    """One way to reach somebody: `email`, `phone`, `twitter`, `slack` …, in its canonical spelling."""

    kind: str
    value: str


class Requester(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, as far as the channel says; the display name is a claim."""

    addresses: tuple[Address, ...] = ()
    name: str | None = None


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """The channel's own conversation reference; the core makes conversations of it."""

    key: str
    """The same for every message of one conversation; never empty."""
    external_id: str | None = None
    parent: str | None = None
    references: tuple[str, ...] = ()
    is_reply: bool = False
    answers: str | None = None
    """The envelope id this answers, proved by a reply token of ours."""
    evidence: tuple[str, ...] = ()
    """What speaks for the conversation, strongest first; the core decides."""


class Pieces:
    """A content too large to be held in memory: every iteration reads it anew, piece by piece."""

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came along: bytes in hand, or a reference the gateway fetches later."""

    name: str
    media_type: str
    content: bytes | None = None
    pieces: Pieces | None = None
    """Instead of `content`, where that is too large to be held in memory."""
    file: str | None = None
    """Path of the content on the gateway's scratch disk, where its pieces have been written."""
    remote: str | None = None
    inline_id: str | None = None
    omitted_reason: str | None = None


class MessageWarning(msgspec.Struct, frozen=True):
    """What was dropped, cut or guessed on the way."""

    code: str
    detail: str


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A person to phone; the window is aware, and both its ends or neither are given."""

    phone: str
    """E.164."""
    phone_raw: str
    """As typed."""
    timezone: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    topic: str | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A phone call, or one later part of it."""

    call_id: str
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    status: str
    """The vendor's word: ringing, in-progress, completed, no-answer …"""
    duration_s: int | None = None
    recording: int | None = None
    """Which of the attachments is the recording."""
    transcript: str | None = None
    stir: str | None = None
    """The caller ID attestation, where the network gives one; absence says nothing."""
    digits: str | None = None


class Related(msgspec.Struct, frozen=True, kw_only=True):
    """A record of another system that belongs to the message or its customer."""

    system: str
    type: str
    id: str


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of mail it is, where the channel can tell."""

    auto_reply: bool = False
    bounce: str | None = None
    list: bool = False
    loop: bool = False
    spam: bool = False


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What was said. `external_id` is the vendor's: same id, same message; empty is refused: use a digest."""

    medium: str
    """How exactly it came: smtp, form, post, dm, slack, voice, sms, whatsapp …"""
    external_id: str
    requester: Requester
    thread: Thread
    kind: Kind = Kind.MESSAGE
    proof: Proof = Proof.ANONYMOUS
    evidence: tuple[str, ...] = ()
    submitter: Requester | None = None
    """Who typed it, where that is not the requester."""
    identity: str | None = None
    """What makes it this message where `external_id` alone does not (mail: Message-ID and a digest)."""
    fingerprint: str | None = None
    """Digest of the content: the same identity with another fingerprint is a conflict, not a duplicate."""
    recipients: tuple[Address, ...] = ()
    subject: str | None = None
    text: str = ""
    text_full: str | None = None
    """Everything, where `text` is only the new part."""
    html: str | None = None
    language: str | None = None
    attachments: tuple[Attachment, ...] = ()
    sent_at: datetime | None = None
    """The sender's or vendor's clock; aware."""
    callback: Callback | None = None
    call: Call | None = None
    mail: Mail | None = None
    update: bool = False
    """A later part of something told before: of a call whose first part was its own message."""
    related: tuple[Related, ...] = ()
    flags: Flags = Flags()
    warnings: tuple[MessageWarning, ...] = ()

    def __post_init__(self) -> None:
        if not self.external_id or not self.thread.key:
            raise ValueError("a message needs an external id and a thread key: use a digest of the payload")
        if self.sent_at is not None and self.sent_at.tzinfo is None:
            raise ValueError("sent_at must be aware")


Messages = Sequence[Message]
