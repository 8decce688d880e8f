"""Mail as it came over SMTP to messages."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from normalizers.mail.body import MailBody
from normalizers.mail.headers import Headers, decode_words, unfold
from normalizers.mail.ids import mail_digest, message_id, thread_of
from normalizers.mail.mailboxes import Mailbox, read_mailboxes
from normalizers.mail.mime import read_parts
from normalizers.message import Address, Flags, Malformed, Message, Problem, Proof, Requester
from normalizers.notes import Notes
from normalizers.text import clean_line, find_email

_HEAVY = 128 * 1024
_LONGEST_SUBJECT = 998
_LONGEST_LINE = 64 * 1024
_LONGEST_DATE = 200
_MOST_MAILBOXES = 1000
_MOST_ADDRESSES = 100
_PLAUSIBLE_YEARS = range(1990, 2100)

_BEFORE_HEADERS = re.compile(rb"[\r\n]*(?:>?From [^\n]*\n)?")


class MailPayload(msgspec.Struct, frozen=True, kw_only=True):
    """One SMTP transaction's share for one inbox."""

    content: bytes
    """RFC 5322 message as received."""
    mail_from: str = ""
    """Envelope sender, empty for `<>`."""
    recipients: tuple[str, ...] = ()
    """Accepted RCPT addresses of this inbox."""


def normalize(payload: MailPayload) -> Sequence[Message]:
    """One message for any mail, however broken; raises Malformed only where there is nothing at all."""
    content = payload.content
    if not content or content.isspace():
        raise Malformed(Problem("", "empty", "The mail is empty."))
    notes = Notes()
    before = _BEFORE_HEADERS.match(content)
    root = read_parts(content, before.end() if before else 0, notes)
    headers = root.headers
    requester, proof, evidence = _author(headers, payload.mail_from, notes)
    own_id = message_id(headers)
    digest = mail_digest(headers, root.raw_body())
    external_id = own_id or f"sha256:{digest}"
    subject = _subject(headers, notes)
    thread = thread_of(headers, external_id, notes)
    sent_at = _sent_at(headers, notes)
    body = MailBody(root, notes)
    attachments = body.attachments()
    message = Message(
        medium="smtp",
        external_id=external_id,
        identity=f"{own_id} {digest}" if own_id else None,
        requester=requester,
        proof=proof,
        evidence=evidence,
        recipients=tuple(Address("email", find_email(to) or to.lower()) for to in payload.recipients),
        thread=thread,
        subject=subject,
        text=body.text,
        attachments=attachments,
        sent_at=sent_at,
        flags=_flags(headers),
        warnings=notes.warnings(),
    )
    return (message,)


def heavy(payload: MailPayload) -> bool:
    """Whether this belongs in a worker: ordinary mail takes a fraction of a millisecond, 25 MB up to a second."""
    return len(payload.content) > _HEAVY


def _author(headers: Headers, mail_from: str, notes: Notes) -> tuple[Requester, Proof, tuple[str, ...]]:
    """Exactly one From with exactly one mailbox is a claim; whatever could be read in two ways is suspect."""
    fields = headers.all("from")
    boxes: list[Mailbox] = []
    for field in fields:
        boxes += read_mailboxes(unfold(field), notes)
        if len(boxes) >= _MOST_MAILBOXES:
            break
    found = [box.address for box in boxes if box.address]
    against: list[str] = []
    if len(fields) > 1:
        against.append(f"from_headers={len(fields)}")
    if len(found) > 1:
        against.append(f"from_mailboxes={len(found)}")
    if any(box.poses for box in boxes):
        against.append("from_name_has_address")
    missing = not found
    if missing:
        notes.add("from_missing", "no address in From: the envelope sender stands in, if there is one")
        envelope = find_email(mail_from.strip("<> "))
        found = [envelope] if envelope else []
    if len(found) > _MOST_ADDRESSES:
        notes.add("from_cut", f"of the addresses in From the first {_MOST_ADDRESSES} were kept")
    addresses = tuple(Address("email", address) for address in dict.fromkeys(found[:_MOST_ADDRESSES]))
    proof = Proof.SUSPECT if against else Proof.CLAIMED if addresses else Proof.ANONYMOUS
    requester = Requester(addresses=addresses, name=next((box.name for box in boxes if box.name), None))
    return requester, proof, (*(["from_missing"] if missing else []), *against)


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


def _flags(headers: Headers) -> Flags:
    submitted = headers.first("auto-submitted").partition(";")[0].strip().lower()
    answers = "x-auto-response-suppress" in headers or "x-autoreply" in headers
    return Flags(auto_reply=answers or submitted not in ("", "no"), list="list-id" in headers)
