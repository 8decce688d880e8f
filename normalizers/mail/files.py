"""The files that came with a mail: names that are safe to show, contents as they were sent."""

import html
import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from normalizers.filenames import clean_filename
from normalizers.mail.headers import decode_words
from normalizers.mail.loose import Loose
from normalizers.mail.mime import Part
from normalizers.message import Attachment
from normalizers.notes import Notes

MOST_ATTACHMENTS = 100
"""With their contents."""
MOST_ENTRIES = 1000
"""With or without."""
LARGEST_FILE = 50 * 1024 * 1024
LARGEST_TOGETHER = 100 * 1024 * 1024
"""Bytes as they were sent, encoded or not."""
_LONGEST_NAME = 4096

_CONTENT_ID = re.compile(r"<?([^<>\s]{1,500})>?")
_REFERENCE = re.compile(r"\bcid:([^\"'<>\s)]{1,1500})", re.IGNORECASE)
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}){2}")
_MAILS = ("message/rfc822", "message/global")
_SUFFIXES = {
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/pgp-encrypted": "asc",
    "application/pgp-signature": "asc",
    "application/pkcs7-mime": "p7m",
    "application/pkcs7-signature": "p7s",
    "application/x-pkcs7-mime": "p7m",
    "application/x-pkcs7-signature": "p7s",
    "application/zip": "zip",
    "audio/mpeg": "mp3",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/webp": "webp",
    "message/delivery-status": "txt",
    "message/disposition-notification": "txt",
    "message/global": "eml",
    "message/rfc822": "eml",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/html": "html",
    "text/rfc822-headers": "txt",
    "video/mp4": "mp4",
}


def read_files(files: Sequence[Part | Loose], page: str | None, notes: Notes) -> tuple[Attachment, ...]:
    """One attachment per file, in the order of the mail; what is beyond a limit has its name and the reason.

    `page`: the mail's HTML. Where there is one, only files it shows have an `inline_id`.
    """
    return tuple(_attachments(files, page, notes)) if files else ()


def _attachments(files: Sequence[Part | Loose], page: str | None, notes: Notes) -> Iterator[Attachment]:
    shown = None if page is None else {_plain_id(html.unescape(found)) for found in _REFERENCE.findall(page)}
    if len(files) > MOST_ENTRIES:
        notes.add("attachments_cut", f"attachments past the {MOST_ENTRIES}th are in the raw original only")
    together = count = 0
    for number, file in enumerate(files[:MOST_ENTRIES], 1):
        size = _size(file)
        reason = file.omitted_reason if isinstance(file, Loose) else None
        if reason is None:
            count += 1
            if count > MOST_ATTACHMENTS:
                reason = "too_many"
                most = f"of {len(files)} attachments the first {MOST_ATTACHMENTS} were kept"
                notes.add("attachments_cut", f"{most}; the rest is in the raw original only")
            elif size > LARGEST_FILE or together + size > LARGEST_TOGETHER:
                reason = "too_large"
                notes.add("attachment_too_large", "an attachment is too large to be kept apart from the raw original")
            else:
                together += size
        if isinstance(file, Part):
            yield _of_part(file, reason, shown, notes)
        else:
            yield Attachment(
                name=clean_filename(file.name) or f"file-{number}.bin",
                media_type=file.media_type,
                content=None if reason else file.content,
                omitted_reason=reason,
            )


def _of_part(part: Part, reason: str | None, shown: set[str] | None, notes: Notes) -> Attachment:
    suffix = _SUFFIXES.get(part.media_type) or ("txt" if part.media_type.startswith("text/") else "bin")
    given = _readable(decode_words(part.filename, notes))
    if given and part.media_type in _MAILS and not given.lower().endswith(".eml"):
        given += ".eml"
    inline = _CONTENT_ID.fullmatch(part.headers.first("content-id"))
    inline_id = inline[1] if inline and inline[1].isprintable() else None
    kept = reason is None
    return Attachment(
        name=clean_filename(given) or f"part-{part.number}.{suffix}",
        media_type=part.media_type,
        content=part.body(notes) if kept and not part.is_large else None,
        pieces=part.pieces(notes) if kept and part.is_large else None,
        inline_id=inline_id if inline_id and (shown is None or _plain_id(inline_id) in shown) else None,
        omitted_reason=reason,
    )


def _size(file: Part | Loose) -> int:
    return len(file.raw_body()) if isinstance(file, Part) else len(file.content or b"")


def _readable(name: str) -> str:
    """Some senders write the bytes of a name as a URL does, which RFC 2231 would mark."""
    if not _PERCENT.search(name) or len(name) > _LONGEST_NAME:
        return name
    try:
        decoded = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    return name if decoded.isascii() else decoded


def _plain_id(content_id: str) -> str:
    """As it is compared: in a page it may be written as in a URL (RFC 2392)."""
    return unquote(content_id).lower()
