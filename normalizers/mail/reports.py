"""Reports of servers and programs about a mail of ours: RFC 3464 and 6533 (delivery), RFC 8098 (read receipts)."""

import re
from collections.abc import Iterator

import msgspec

from normalizers.mail.headers import Headers, decode_words, read_headers, unfold
from normalizers.mail.ids import message_id, references_of
from normalizers.mail.mime import Part
from normalizers.mailed import Bounce, Undelivered
from normalizers.notes import Notes
from normalizers.text import clean_line, compose, find_email

STATUS = re.compile(r"(?<![\w.])([245]\.\d{1,3}\.\d{1,3})(?![\w.]*\d)")
"""RFC 3463."""
DELIVERY = ("message/delivery-status", "message/global-delivery-status")
RETURNED = (
    "message/rfc822",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global",
    "message/global-headers",
)

_RECEIPTS = ("message/disposition-notification", "message/global-disposition-notification")
_MOST_READ = 256 * 1024
_MOST_GROUPS = 2000
MOST_RECIPIENTS = 100
_LONGEST_DIAGNOSTIC = 500
_LONGEST_SUBJECT = 998
_LONGEST_ADDRESS = 320

_GAP = re.compile(rb"[\r\n \t]*")
_NEXT_LINE = re.compile(rb"[^\n]*\n?")
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_ACTIONS = ("failed", "delayed", "delivered", "relayed", "expanded")
_BY_CLASS = {"5": "failed", "4": "delayed", "2": "delivered"}


class Original(msgspec.Struct, frozen=True):
    """The mail of ours that a report is about, as far as it says."""

    message_id: str | None = None
    subject: str | None = None
    conversation: tuple[str, ...] = ()
    """Message-IDs, the oldest first, its own last."""


def delivery_report(root: Part, notes: Notes) -> Bounce | None:
    """None where nothing in it reports about the delivery to anybody."""
    recipients: dict[tuple[str, str], Undelivered] = {}
    for part in _parts(root, DELIVERY):
        for group in _groups(beginning(part)):
            one = _undelivered(group)
            if one is not None:
                recipients.setdefault((one.recipient, one.action), one)
    return Bounce(recipients=first_of(list(recipients.values()), notes)) if recipients else None


def first_of(recipients: list[Undelivered], notes: Notes) -> tuple[Undelivered, ...]:
    """Those that failed stand before the others where not all can be told."""
    if len(recipients) > MOST_RECIPIENTS:
        notes.add("bounce_cut", f"of the recipients in a delivery report {MOST_RECIPIENTS} were kept")
        recipients.sort(key=lambda one: one.action != "failed")
    return tuple(recipients[:MOST_RECIPIENTS])


def is_receipt(root: Part) -> bool:
    """Somebody's program says that a mail of ours was shown, or deleted."""
    return any(_parts(root, _RECEIPTS))


def original(root: Part) -> Original:
    """From the mail or header that came back, else from what a receipt names."""
    for part in _parts(root, RETURNED):
        headers = _headers_of(beginning(part))
        if (found := _original(headers)).message_id or found.subject:
            return found
    for part in _parts(root, _RECEIPTS):
        for group in _groups(beginning(part)):
            if own := message_id(group, "original-message-id"):
                return Original(own, None, (own,))
    return Original()


def original_in(text: str) -> Original:
    """The same from a copy of our mail that stands in a text."""
    return _original(_headers_of(text.encode("utf-8", "replace")))


def beginning(part: Part) -> bytes:
    """Of a body; what is wrong with it is no warning to anybody."""
    return part.body(Notes(), _MOST_READ)[:_MOST_READ]


def _parts(root: Part, types: tuple[str, ...]) -> Iterator[Part]:
    return (leaf for leaf in root.leaves() if leaf.media_type in types)


def _headers_of(data: bytes) -> Headers:
    start = _GAP.match(data)
    return read_headers(data, start.end() if start else 0, len(data), Notes())[0]


def _original(headers: Headers) -> Original:
    own = message_id(headers)
    subject = clean_line(decode_words(headers.first("subject"), Notes()), _LONGEST_SUBJECT)
    return Original(own, subject or None, (*references_of(headers), own) if own else ())


def _groups(data: bytes) -> Iterator[Headers]:
    """Groups of fields between blank lines; lines that are no fields are passed over."""
    at = 0
    for _ in range(_MOST_GROUPS):
        gap = _GAP.match(data, at)
        at = gap.end() if gap else at
        if at >= len(data):
            return
        headers, end = read_headers(data, at, len(data), Notes())
        if end == at:
            line = _NEXT_LINE.match(data, at)
            end = line.end() if line else len(data)
        yield headers
        at = end


def _undelivered(group: Headers) -> Undelivered | None:
    final = _address(group.first("final-recipient"))
    meant = _address(group.first("original-recipient")) or _address(group.first("x-actual-recipient"))
    recipient = meant if meant and "@" in meant else final or meant
    if recipient is None:
        return None
    line = unfold(b" ".join(group.all("diagnostic-code"))[:_MOST_READ])
    kind, semicolon, said = line.partition(";")
    diagnostic = clean_line(decode_words(said if semicolon and " " not in kind.strip() else line, Notes()), 4096)
    status = status_of(group.first("status"), diagnostic)
    action = group.first("action").strip().lower()
    named = next((one for one in _ACTIONS if action.startswith(one[:4])), None)
    return Undelivered(
        recipient=recipient,
        action=named or _BY_CLASS.get(status[:1] if status else "", "failed"),
        status=status,
        diagnostic=diagnostic[:_LONGEST_DIAGNOSTIC].rstrip() or None,
        final_recipient=final if final != recipient else None,
    )


def status_of(line: str, diagnostic: str) -> str | None:
    """The most exact of both: many servers write 5.0.0 above a diagnostic that knows better."""
    stated = STATUS.search(line[:200])
    told = STATUS.search(diagnostic)
    if stated and not (stated[1].endswith(".0.0") and told and told[1][0] == stated[1][0]):
        return stated[1]
    return told[1] if told else None


def _address(line: str) -> str | None:
    """`rfc822; user@host`, some with brackets, some without a type; RFC 6533 writes `\\x{1F600}` in ASCII."""
    kind, semicolon, rest = line[: 4 * _LONGEST_ADDRESS].partition(";")
    text = _ESCAPED.sub(_character, rest if semicolon else kind)
    text = clean_line(decode_words(text, Notes()).strip(" <>\"'"), _LONGEST_ADDRESS)
    return find_email(text) or compose(text.lower()) or None


def _character(escape: re.Match[str]) -> str:
    code = int(escape[1], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
