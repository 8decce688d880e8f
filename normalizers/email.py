"""Mail, whatever door it came through, to messages."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from normalizers.mail.author import read_author, read_correspondents
from normalizers.mail.body import MailBody
from normalizers.mail.files import read_files
from normalizers.mail.forwarded import original_sender
from normalizers.mail.headers import Headers, decode_words, headers_start
from normalizers.mail.ids import mail_digest, message_id, thread_of
from normalizers.mail.invitations import beneath
from normalizers.mail.kinds import sort_of
from normalizers.mail.mime import read_parts
from normalizers.mail.parcel import unwrap
from normalizers.mail.protection import protection_of
from normalizers.mail.said import said
from normalizers.mail.unread import Known, unread_message
from normalizers.mailed import Authentication, Mail
from normalizers.message import Address, Kind, Malformed, Message, Problem, Proof
from normalizers.notes import Notes
from normalizers.text import clean_line, find_email

_HEAVY = 24 * 1024
_HEAVY_ENCODED = 16 * 1024
_MOST_TAGS = 1000
_MOST_LINES = 1000
_RARE = (b"text/calendar", b"ms-tnef", b"winmail", b"mailer-daemon", b"delivery-status", b"return-path: <>")
"""What brings in libraries that take longer to import than anybody may wait."""
_LONGEST_SUBJECT = 998
_LONGEST_LINE = 64 * 1024
_LONGEST_DATE = 200
_PLAUSIBLE_YEARS = range(1990, 2100)

_SOMETHING = re.compile(rb"\S")


class MailPayload(msgspec.Struct, frozen=True, kw_only=True):
    """One mail's share for one inbox, with what its door knows about it."""

    content: bytes
    """RFC 5322 message as received."""
    file: str | None = None
    """Path of the message on the scratch disk, where it is too large for `content`, which is empty then."""
    medium: str = "smtp"
    mail_from: str = ""
    """Envelope sender, empty for `<>` and where nobody knows."""
    null_sender: bool = False
    """MAIL FROM is known to be `<>`: a machine wrote it and wants no answer."""
    recipients: tuple[str, ...] = ()
    """Addresses of this inbox that it was sent to."""
    ours: tuple[str, ...] = ()
    """All addresses of this inbox: what a machine sends from one of them goes round in circles."""
    authentication: Authentication | None = None
    answers: str | None = None
    """The envelope id a reply token of ours proves this to answer."""
    tokens: tuple[str, ...] = ()
    """What the reply tokens found in it are worth, in the words of the envelope's `thread.evidence`."""


def normalize(payload: MailPayload) -> Sequence[Message]:
    """One message for any mail, however broken; raises Malformed only where there is nothing at all."""
    content = payload.content
    if not _SOMETHING.search(content):
        raise Malformed(Problem("", "empty", "The mail is empty."))
    notes = Notes()
    root = read_parts(content, headers_start(content), notes)
    headers = root.headers
    author = read_author(headers, payload.mail_from, payload.authentication, notes)
    others = read_correspondents(headers, notes)
    own_id = message_id(headers)
    digest = mail_digest(headers, root.raw_body())
    external_id = own_id or f"sha256:{digest}"
    subject = _subject(headers, notes)
    sort = sort_of(root, payload.null_sender, (*payload.recipients, *payload.ours), notes)
    sent_at = _sent_at(headers, notes)
    body = MailBody(root, notes)
    parcel = unwrap(body.text, body.files, notes)
    words = said(parcel.text, reply="in-reply-to" in headers or "references" in headers)
    message = Message(
        kind=sort.kind,
        medium=payload.medium,
        external_id=external_id,
        identity=f"{own_id} {digest}" if own_id else None,
        requester=author.requester,
        proof=author.proof,
        evidence=author.evidence,
        recipients=tuple(Address("email", find_email(to) or to.lower()) for to in payload.recipients),
        thread=thread_of(
            headers,
            external_id,
            payload.answers,
            notes,
            sort.about,
            tokens=payload.tokens,
            # Anybody can type a reference of ours into a subject.
            named=(subject or "") if author.proof is Proof.VERIFIED else "",
        ),
        subject=subject,
        text=beneath(words.text, parcel.invitation),
        text_full=beneath(words.full, parcel.invitation) if words.full else None,
        html=body.html,
        attachments=read_files(parcel.files, body.html, notes),
        sent_at=sent_at,
        mail=Mail(
            return_path=payload.mail_from or None,
            sender=others.sender,
            reply_to=others.reply_to,
            to=others.to,
            cc=others.cc,
            original_sender=original_sender(subject, body.text, body.files) if sort.kind is Kind.MESSAGE else None,
            authentication=payload.authentication,
            bounce=sort.bounce,
            spam=sort.spam,
            list_id=sort.list_id,
            protection=protection_of(body.text, body.files, notes),
            signature=words.signature,
            remote_images=body.remote_images,
        ),
        flags=sort.flags,
        warnings=notes.warnings(),
    )
    return (message,)


def heavy(payload: MailPayload) -> bool:
    """Whether this belongs in a worker: all else takes less than 50 ms however odd it is, ordinary mail half a one.

    Work goes by lines and elements more than by bytes; in an encoded part neither can be counted beforehand.
    """
    content = payload.content
    if payload.file is not None or len(content) > _HEAVY:
        return True
    if content.count(b"<") > _MOST_TAGS or content.count(b"\n") > _MOST_LINES:
        return True
    if payload.null_sender:  # a server's report, most likely
        return True
    plain = content.lower()
    return (len(content) > _HEAVY_ENCODED and b"base64" in plain) or any(word in plain for word in _RARE)


def unread(payload: MailPayload, digest: str) -> Sequence[Message]:
    """Who wrote when about what, as far as the first bytes of the mail say so: for a mail `normalize` fails on.

    Its identity is its own, so that the mail itself, once it can be read, is no duplicate of it; the external id and
    the conversation are the mail's.
    """
    return (unread_message(payload.content, digest, msgspec.convert(payload, Known, from_attributes=True)),)


def _subject(headers: Headers, notes: Notes) -> str | None:
    subject = clean_line(decode_words(headers.first("subject"), notes), _LONGEST_LINE)
    if len(subject) > _LONGEST_SUBJECT:
        notes.add("subject_cut", f"past {_LONGEST_SUBJECT} characters the subject is in the raw original only")
    return clean_line(subject, _LONGEST_SUBJECT) or None


def _sent_at(headers: Headers, notes: Notes) -> datetime | None:
    line = headers.first("date")[:_LONGEST_DATE]
    if not line:
        return None
    try:
        sent_at = parsedate_to_datetime(line)
        if sent_at.tzinfo is None and line.rstrip().endswith("-0000"):  # UTC of an unknown place, RFC 5322 3.3
            sent_at = sent_at.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        sent_at = None
    if sent_at is None or sent_at.tzinfo is None or sent_at.year not in _PLAUSIBLE_YEARS:
        notes.add("bad_date", "the Date cannot be read or believed")
        return None
    return sent_at
