"""The little that is certain of a mail that could not be read: each piece for itself, and none of them needed."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from normalizers.mail.author import Author, read_author
from normalizers.mail.automatic import is_automatic, is_list, is_loop
from normalizers.mail.headers import Headers, decode_words, headers_start, read_headers
from normalizers.mail.ids import message_id, thread_of
from normalizers.mailed import Authentication, Mail
from normalizers.message import Address, Flags, Message, MessageWarning, Proof, Requester, Thread
from normalizers.notes import Notes
from normalizers.text import clean_line, find_email

HEAD = 16 * 1024
"""Bytes of the mail that are looked at."""
_LONGEST_VALUE = 2048
_LONGEST_SUBJECT = 998

T = TypeVar("T")


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the door knows of a mail, whatever is in it."""

    medium: str
    mail_from: str
    null_sender: bool
    recipients: tuple[str, ...]
    authentication: Authentication | None
    answers: str | None
    tokens: tuple[str, ...]


def unread_message(content: bytes, digest: str, known: Known) -> Message:
    """`digest`: SHA-256 of the whole mail in hexadecimal. Never raises; never more than a claim of who wrote."""
    notes = Notes()
    headers, whole = _guarded(lambda: _head(content, notes), (Headers(), False))
    external_id = _guarded(lambda: message_id(headers), None) or f"sha256:{digest}"
    thread = Thread(key=external_id, external_id=external_id)
    author = _author(headers, whole, known, notes)
    return Message(
        medium=known.medium,
        external_id=external_id,
        identity=f"unread {digest}",
        requester=author.requester,
        proof=author.proof,
        evidence=author.evidence,
        recipients=tuple(Address("email", find_email(to) or to.lower()) for to in known.recipients),
        thread=_guarded(lambda: thread_of(headers, external_id, known.answers, notes, tokens=known.tokens), thread),
        subject=_guarded(lambda: _subject(headers, notes), None),
        sent_at=_guarded(lambda: _sent_at(headers), None),
        mail=Mail(return_path=known.mail_from or None, authentication=known.authentication),
        flags=_guarded(lambda: _flags(headers, known), Flags(auto_reply=known.null_sender)),
        warnings=(MessageWarning("unread", "the mail could not be read: the raw original has it whole"),),
    )


def _guarded(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except Exception:  # whatever made the mail unreadable may be in these very bytes
        return otherwise


def _head(content: bytes, notes: Notes) -> tuple[Headers, bool]:
    """The fields, each cut to a length at which nothing takes long, and whether these are all of them and whole."""
    head = bytes(content[:HEAD])
    found, end = read_headers(head, headers_start(head), len(head), notes)
    kept, whole = Headers(), end < len(head) or len(content) <= HEAD
    for name in found.names():
        for value in found.all(name):
            whole = whole and (name != "from" or len(value) <= _LONGEST_VALUE)
            kept.add(name, value[:_LONGEST_VALUE])
    return kept, whole


def _author(headers: Headers, whole: bool, known: Known, notes: Notes) -> Author:
    """Who says that they wrote it; suspect where more may be said of that than was looked at."""
    nobody = Author(requester=Requester(), proof=Proof.ANONYMOUS, evidence=())
    author = _guarded(lambda: read_author(headers, known.mail_from, known.authentication, notes), nobody)
    if not whole:
        return msgspec.structs.replace(author, proof=Proof.SUSPECT, evidence=("head_cut", *author.evidence))
    if author.proof.reaches(Proof.CLAIMED):
        return msgspec.structs.replace(author, proof=Proof.CLAIMED)
    return author


def _flags(headers: Headers, known: Known) -> Flags:
    automatic = is_automatic(headers, known.null_sender)
    loop = is_loop(headers, known.recipients, automatic)
    return Flags(auto_reply=automatic, list=is_list(headers), loop=loop)


def _subject(headers: Headers, notes: Notes) -> str | None:
    return clean_line(decode_words(headers.first("subject"), notes), _LONGEST_SUBJECT) or None


def _sent_at(headers: Headers) -> datetime | None:
    sent_at = parsedate_to_datetime(headers.first("date"))
    return sent_at if sent_at.tzinfo is not None and sent_at < datetime.max.replace(tzinfo=UTC) else None
