"""The files that came with a mail: names that are safe to show, contents as they were sent."""

import re
from collections.abc import Sequence

from normalizers.filenames import clean_filename
from normalizers.mail.headers import decode_words
from normalizers.mail.mime import Part
from normalizers.message import Attachment
from normalizers.notes import Notes

_MOST_ATTACHMENTS = 100

_CONTENT_ID = re.compile(r"<?([^<>\s]{1,500})>?")
_SUFFIXES = {
    "application/pdf": "pdf",
    "application/pgp-signature": "asc",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/png": "png",
    "message/delivery-status": "txt",
    "message/rfc822": "eml",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/html": "html",
}


def read_files(parts: Sequence[Part], notes: Notes) -> tuple[Attachment, ...]:
    """One attachment per part, in the order of the mail."""
    if len(parts) > _MOST_ATTACHMENTS:
        kept = f"of {len(parts)} attachments the first {_MOST_ATTACHMENTS} were kept"
        notes.add("attachments_cut", f"{kept}; the rest is in the raw original only")
    return tuple(_attachment(part, notes) for part in parts[:_MOST_ATTACHMENTS])


def _attachment(part: Part, notes: Notes) -> Attachment:
    suffix = _SUFFIXES.get(part.media_type) or ("txt" if part.media_type.startswith("text/") else "bin")
    given = decode_words(part.filename, notes)
    if given and part.media_type == "message/rfc822" and not given.lower().endswith(".eml"):
        given += ".eml"
    inline = _CONTENT_ID.fullmatch(part.headers.first("content-id"))
    return Attachment(
        name=clean_filename(given) or f"part-{part.number}.{suffix}",
        media_type=part.media_type,
        content=part.body(notes),
        inline_id=inline[1] if inline and inline[1].isprintable() else None,
    )
