"""The little that is certain of a mail that could not be read: each piece for itself, and none of them needed."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from normalizers.mail.author import Author, read_author
from normalizers.mail.headers import Headers, decode_words, read_headers
from normalizers.mail.ids import message_id, thread_of
from normalizers.message import Address, Message, MessageWarning, Proof, Requester, Thread
from normalizers.notes import Notes
from normalizers.text import clean_line, find_email

HEAD = 16 * 1024
"""Bytes of the mail that are looked at."""
_LONGEST_VALUE = 2048
_LONGEST_SUBJECT = 998
_READ = ("from", "subject", "date", "message-id", "references", "in-reply-to")

T = TypeVar("T")


def unread_message(
    content: bytes,
    digest: str,
    *,
    medium: str,
    mail_from: str,
    recipients: Sequence[str],
    answers: str | None,
    tokens: tuple[str, ...],
) -> Message:
    """`digest`: SHA-256 of the whole mail in hexadecimal. Never raises; never more than a claim of who wrote."""
    notes = Notes()
    headers = _guarded(lambda: _head(content, notes), Headers())
    external_id = _guarded(lambda: message_id(headers), None) or f"sha256:{digest}"
    nobody = Author(requester=Requester(), proof=Proof.ANONYMOUS, evidence=())
    author = _guarded(lambda: read_author(headers, mail_from, None, notes), nobody)
    thread = Thread(key=external_id, external_id=external_id)
    return Message(
        medium=medium,
        external_id=external_id,
        identity=f"unread {digest}",
        requester=author.requester,
        proof=author.proof if not author.proof.reaches(Proof.CLAIMED) else Proof.CLAIMED,
        evidence=author.evidence,
        recipients=tuple(Address("email", find_email(to) or to.lower()) for to in recipients),
        thread=_guarded(lambda: thread_of(headers, external_id, answers, notes, tokens=tokens), thread),
        subject=_guarded(lambda: _subject(headers, notes), None),
        sent_at=_guarded(lambda: _sent_at(headers), None),
        warnings=(MessageWarning("unread", "the mail could not be read: the raw original has it whole"),),
    )


def _guarded(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except Exception:  # whatever made the mail unreadable may be in these very bytes
        return otherwise


def _head(content: bytes, notes: Notes) -> Headers:
    """The fields that are read, each cut to a length at which nothing takes long."""
    head = bytes(content[:HEAD]).lstrip(b"\r\n")
    found, _ = read_headers(head, 0, len(head), notes)
    kept = Headers()
    for name in _READ:
        for value in found.all(name):
            kept.add(name, value[:_LONGEST_VALUE])
    return kept


def _subject(headers: Headers, notes: Notes) -> str | None:
    return clean_line(decode_words(headers.first("subject"), notes), _LONGEST_SUBJECT) or None


def _sent_at(headers: Headers) -> datetime | None:
    sent_at = parsedate_to_datetime(headers.first("date"))
    return sent_at if sent_at.tzinfo is not None and sent_at < datetime.max.replace(tzinfo=UTC) else None
