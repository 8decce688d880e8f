"""Forms as bytes, mails in them untouched. No I/O."""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from channels.email.smtp.mending import PIECE
from channels.email.webhooks.provider import Answer, Fields, TurnedAway

_MOST_FIELDS = 1000
_LONGEST_HEAD = 16 * 1024

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^;\s"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'content-disposition:[^\r\n]*?;[ \t]*name="([^"\r\n]*)"', re.IGNORECASE)
_MULTIPART = "multipart/form-data"
_URL_ENCODED = "application/x-www-form-urlencoded"


def parse_form(content_type: str, body: bytes) -> Fields:
    """Of either kind; of several values of one name the first. Raises TurnedAway where it is no form.

    Not aiohttp's parser: that one decodes what it takes for text, and a mail is bytes.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _URL_ENCODED:
        pairs = _url_encoded(body)
    elif kind == _MULTIPART and (boundary := _BOUNDARY.search(content_type)):
        pairs = _multipart(body, (boundary[1] or boundary[2]).encode("latin-1", "replace"))
    else:
        raise TurnedAway(Answer.MEND, "no form", "A form is expected here.")
    values: dict[str, bytes] = {}
    for name, value in pairs:
        values.setdefault(name, value)
    return Fields(values)


def _url_encoded(body: bytes) -> Iterator[tuple[str, bytes]]:
    for number, pair in enumerate(body.split(b"&", _MOST_FIELDS + 1)):
        if number > _MOST_FIELDS:
            raise _unreadable()
        name, _, value = pair.partition(b"=")
        yield _unquoted(name).decode("utf-8", "replace"), _unquoted(value)


def _unquoted(text: bytes) -> bytes:
    pieces, at = [], 0
    while at < len(text):
        cut = at + PIECE
        if cut < len(text) and (escape := text.find(b"%", cut - 2, cut)) >= 0:  # in steps, as in _find
            cut = escape
        pieces.append(unquote_to_bytes(text[at:cut].replace(b"+", b" ")))
        at = cut
    return b"".join(pieces)


def _multipart(body: bytes, boundary: bytes) -> Iterator[tuple[str, bytes]]:
    delimiter = b"\r\n--" + boundary
    at = 0 if body.startswith(delimiter[2:]) else body.find(delimiter, 0, _LONGEST_HEAD) + 2
    if at == 1:
        raise _unreadable()
    at += len(delimiter) - 2
    for _ in range(_MOST_FIELDS):
        if body.startswith(b"--", at):
            return
        head_end = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
        end = _find(body, delimiter, head_end + 2 if head_end >= 0 else at)
        if head_end < 0 or end < 0:
            raise _unreadable()
        if name := _NAME.search(body, at, head_end):
            yield name[1].decode("utf-8", "replace"), body[head_end + 4 : end]
        at = end + len(delimiter)
    raise _unreadable()


def _find(body: bytes, wanted: bytes, at: int) -> int:
    """As bytes.find, in steps: in a thread it keeps nobody else waiting."""
    for start in range(at, len(body), PIECE):
        if (found := body.find(wanted, start, start + PIECE + len(wanted) - 1)) >= 0:
            return found
    return -1


def _unreadable() -> TurnedAway:
    return TurnedAway(Answer.MEND, "form that ends too early, or never", "The form cannot be read.")
