"""Which mail it is, and what it answers."""

import hashlib
import re

from normalizers.mail.headers import Headers, unfold
from normalizers.message import Thread
from normalizers.notes import Notes

_MOST_REFERENCES = 100
_LONGEST_ID = 990

_ID = re.compile(r"<([^<>\s]+)>")


def message_id(headers: Headers) -> str | None:
    """The first usable Message-ID as `<…>`; an empty one is none."""
    return next((found for value in headers.all("message-id") if (found := _first_id(unfold(value)))), None)


def mail_digest(headers: Headers, body: memoryview) -> str:
    """SHA-256 over what no relay changes, so that a retry through another server has the same."""
    digest = hashlib.sha256()
    for name in ("from", "subject", "date"):
        for value in headers.all(name):
            digest.update(name.encode() + b":" + b" ".join(value.split()) + b"\n")
    digest.update(b"\n")
    digest.update(body)
    return digest.hexdigest()


def thread_of(headers: Headers, external_id: str, answers: str | None, notes: Notes) -> Thread:
    """The conversation by ids alone; a subject never joins two mails. `answers`: the envelope a token proves."""
    references = tuple(dict.fromkeys(found for value in headers.all("references") for found in _ids(unfold(value))))
    if len(references) > _MOST_REFERENCES:
        notes.add("references_cut", "of the references the first and the last 99 were kept")
        references = references[:1] + references[1 - _MOST_REFERENCES :]
    replied = _first_id(headers.first("in-reply-to"))
    parent = replied or (references[-1] if references else None)
    return Thread(
        key=references[0] if references else replied or external_id,
        external_id=external_id,
        parent=parent,
        references=references,
        is_reply=parent is not None or answers is not None,
        answers=answers,
    )


def _ids(line: str) -> list[str]:
    return [f"<{found}>" for found in _ID.findall(line) if _is_id(found)]


def _first_id(line: str) -> str | None:
    if found := _ids(line):
        return found[0]
    bare = line.strip("<> \t")
    return f"<{bare}>" if "@" in bare and _is_id(bare) and not re.search(r"[\s<>]", bare) else None


def _is_id(text: str) -> bool:
    return text.isprintable() and len(text) <= _LONGEST_ID
