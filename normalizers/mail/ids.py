"""Which mail it is, and what it answers."""

import hashlib
import re

from normalizers.mail.headers import Headers, decode_words, unfold
from normalizers.message import Thread
from normalizers.notes import Notes

_MOST_REFERENCES = 100
_LONGEST_ID = 990
_MOST_NAMED = 5
_STEP = 64 * 1024

_ID = re.compile(r"<([^<>\s]+)>")
_GENUINE = ("reply_token", "own_message_id")
_NAMED = re.compile(r"\[(T-[0-9A-Z]{4}-[0-9A-Z]{4})\]")


def message_id(headers: Headers, name: str = "message-id") -> str | None:
    """The first usable Message-ID as `<…>`; an empty one is none."""
    return next((found for value in headers.all(name) if (found := _first_id(id_line(value)))), None)


def references_of(headers: Headers) -> tuple[str, ...]:
    """What a mail of ours answered, the oldest first: at most 100, and the first of all among them."""
    references = _references(headers)
    replied = _replied(headers)
    return _cut(references) if references else (replied,) if replied else ()


def mail_digest(headers: Headers, body: memoryview) -> str:
    """SHA-256 over what no relay changes, so that a retry through another server or door has the same.

    Empty lines at the end do not count: providers cut them off, or add one.
    """
    digest = hashlib.sha256()
    for name in ("from", "subject", "date"):
        for value in headers.all(name):
            digest.update(name.encode() + b":" + b" ".join(value.split()) + b"\n")
    digest.update(b"\n")
    end = _last_line_end(body)
    digest.update(body[:end])
    if end:
        digest.update(b"\n" if bytes(body[end : end + 1]) == b"\n" else b"\r\n")
    return digest.hexdigest()


def thread_of(
    headers: Headers,
    external_id: str,
    answers: str | None,
    notes: Notes,
    about: tuple[str, ...] = (),
    *,
    tokens: tuple[str, ...] = (),
    named: str = "",
) -> Thread:
    """The conversation by ids alone; a subject never joins two mails. `answers`: the envelope a token proves.

    `about`: what a server's report is about, our mail's own id last; its own references are then of no account.
    `tokens`: what our tokens in it are worth. `named`: where a reference of ours counts as evidence, in brackets.
    """
    references = about or _references(headers)
    if len(references) > _MOST_REFERENCES:
        notes.add("references_cut", "of the references the first and the last 99 were kept")
        references = _cut(references)
    replied = None if about else _replied(headers)
    parent = replied or (references[-1] if references else None)
    return Thread(
        key=references[0] if references else replied or external_id,
        external_id=external_id,
        parent=parent,
        references=references,
        is_reply=parent is not None or answers is not None,
        answers=answers,
        evidence=(
            *(one for one in tokens if one in _GENUINE),
            *(["reference"] if parent is not None else []),
            *(f"subject_reference={one}" for one in list(dict.fromkeys(_NAMED.findall(named)))[:_MOST_NAMED]),
            *(one for one in tokens if one not in _GENUINE),
        ),
    )


def _last_line_end(body: memoryview) -> int:
    """Where the empty lines at the end begin, and the line end before them."""
    end = len(body)
    while end:
        step = bytes(body[max(end - _STEP, 0) : end])
        kept = len(step.rstrip(b"\r\n"))
        end -= len(step) - kept
        if kept:
            break
    return end


def id_line(value: bytes) -> str:
    """A header of ids. No id has encoded words in it; Python's own email package makes such of long ones."""
    line = unfold(value)
    return decode_words(line, Notes()) if "=?" in line else line


def _replied(headers: Headers) -> str | None:
    values = headers.all("in-reply-to")
    return _first_id(id_line(values[0])) if values else None


def _references(headers: Headers) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found for value in headers.all("references") for found in _ids(id_line(value))))


def _cut(references: tuple[str, ...]) -> tuple[str, ...]:
    if len(references) <= _MOST_REFERENCES:
        return references
    return references[:1] + references[1 - _MOST_REFERENCES :]


def _ids(line: str) -> list[str]:
    return [f"<{found}>" for found in _ID.findall(line) if _is_id(found)]


def _first_id(line: str) -> str | None:
    if found := _ids(line):
        return found[0]
    bare = line.strip("<> \t")
    return f"<{bare}>" if "@" in bare and _is_id(bare) and not re.search(r"[\s<>]", bare) else None


def _is_id(text: str) -> bool:
    return text.isprintable() and len(text) <= _LONGEST_ID
