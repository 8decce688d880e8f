"""Mail, whatever door it came through, to messages."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from normalizers.mail.author import read_author
from normalizers.mail.body import MailBody
from normalizers.mail.files import read_files
from normalizers.mail.headers import Headers, decode_words
from normalizers.mail.ids import mail_digest, message_id, thread_of
from normalizers.mail.kinds import sort_of
from normalizers.mail.mime import read_parts
from normalizers.mail.said import said
from normalizers.mailed import Authentication, Mail
from normalizers.message import Address, Malformed, Message, Problem
from normalizers.notes import Notes
from normalizers.text import clean_line, find_email

_HEAVY = 128 * 1024
_LONGEST_SUBJECT = 998
_LONGEST_LINE = 64 * 1024
_LONGEST_DATE = 200
_PLAUSIBLE_YEARS = range(1990, 2100)

_BEFORE_HEADERS = re.compile(rb"[\r\n]*(?:>?From [^\n]*\n)?")


class MailPayload(msgspec.Struct, frozen=True, kw_only=True):
    """One mail's share for one inbox, with what its door knows about it."""

    content: bytes
    """RFC 5322 message as received."""
    file: str | None = None
    """Path of the message on the scratch disk, where it is too large for `content`, which is empty then."""
    medium: str = "smtp"
    mail_from: str = ""
    """Envelope sender, empty for `<>`."""
    recipients: tuple[str, ...] = ()
    """Addresses of this inbox that it was sent to."""
    authentication: Authentication | None = None
    answers: str | None = None
    """The envelope id a reply token of ours proves this to answer."""


def normalize(payload: MailPayload) -> Sequence[Message]:
    """One message for any mail, however broken; raises Malformed only where there is nothing at all."""
    content = payload.content
    if not content or content.isspace():
        raise Malformed(Problem("", "empty", "The mail is empty."))
    notes = Notes()
    before = _BEFORE_HEADERS.match(content)
    root = read_parts(content, before.end() if before else 0, notes)
    headers = root.headers
    author = read_author(headers, payload.mail_from, payload.authentication, notes)
    own_id = message_id(headers)
    digest = mail_digest(headers, root.raw_body())
    external_id = own_id or f"sha256:{digest}"
    subject = _subject(headers, notes)
    sort = sort_of(root, payload.mail_from, payload.recipients, notes)
    sent_at = _sent_at(headers, notes)
    body = MailBody(root, notes)
    words = said(body.text)
    message = Message(
        kind=sort.kind,
        medium=payload.medium,
        external_id=external_id,
        identity=f"{own_id} {digest}" if own_id else None,
        requester=author.requester,
        proof=author.proof,
        evidence=author.evidence,
        recipients=tuple(Address("email", find_email(to) or to.lower()) for to in payload.recipients),
        thread=thread_of(headers, external_id, payload.answers, notes),
        subject=subject,
        text=words.text,
        text_full=words.full,
        html=body.html,
        attachments=read_files(body.files, notes),
        sent_at=sent_at,
        mail=Mail(
            return_path=payload.mail_from or None,
            authentication=payload.authentication,
            bounce=sort.bounce,
            spam=sort.spam,
            list_id=sort.list_id,
            signature=words.signature,
            remote_images=body.remote_images,
        ),
        flags=sort.flags,
        warnings=notes.warnings(),
    )
    return (message,)


def heavy(payload: MailPayload) -> bool:
    """Whether this belongs in a worker: ordinary mail takes a fraction of a millisecond, 25 MB up to a second."""
    return payload.file is not None or len(payload.content) > _HEAVY


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
