"""Forms as bytes, mails in them untouched. No I/O."""

import re
from binascii import a2b_qp
from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from channels.email.line_ends import PIECE
from channels.email.webhooks.provider import Answer, Fields, TurnedAway

_MOST_FIELDS = 1000
_LONGEST_HEAD = 16 * 1024

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^;\s"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'content-disposition:[^\r\n]*?;[ \t]*name="([^"\r\n]*)"', re.IGNORECASE)
_WELL_QUOTED = re.compile(rb"[^%]*+(?:%[0-9A-Fa-f]{2}[^%]*+)*+")
_MULTIPART = "multipart/form-data"
_URL_ENCODED = "application/x-www-form-urlencoded"

_Place: TypeAlias = tuple[str, int, int]


def parse_form(content_type: str, body: bytes) -> Fields:
    """Of either kind; of several values of one name the first. Raises TurnedAway where it is no form.

    Not aiohttp's parser: that one decodes what it takes for text, and a mail is bytes.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _URL_ENCODED:
        found, decode = _url_encoded(body), _unquoted
    elif kind == _MULTIPART and (boundary := _BOUNDARY.search(content_type)):
        found, decode = _multipart(body, (boundary[1] or boundary[2]).encode("latin-1", "replace")), _as_it_is
    else:
        raise TurnedAway(Answer.MEND, "no form", "A form is expected here.")
    places: dict[str, tuple[int, int]] = {}
    for name, start, end in found:
        places.setdefault(name, (start, end))
    return Fields(body=body, places=places, decode=decode)


def _as_it_is(body: bytes, start: int, end: int) -> bytes:
    return body[start:end]


def _url_encoded(body: bytes) -> Iterator[_Place]:
    at = 0
    for _ in range(_MOST_FIELDS + 1):
        end = found if (found := _find(body, b"&", at)) >= 0 else len(body)
        equals = body.find(b"=", at, min(end, at + _LONGEST_HEAD))
        name_end = equals if equals >= 0 else end
        if name_end - at <= _LONGEST_HEAD:
            yield _unquoted(body, at, name_end).decode("utf-8", "replace"), min(name_end + 1, end), end
        if end == len(body):
            return
        at = end + 1
    raise _unreadable()


def _unquoted(body: bytes, start: int, end: int) -> bytes:
    pieces, at = [], start
    while at < end:
        cut = min(at + PIECE, end)
        if cut < end and (escape := body.find(b"%", cut - 2, cut)) >= 0:  # in steps, as in _find
            cut = escape
        piece = body[at:cut].replace(b"+", b" ")
        if _WELL_QUOTED.fullmatch(piece):  # quoted-printable by another sign, and read 20 times as fast
            pieces.append(a2b_qp(piece.replace(b"=", b"%3D").replace(b"%", b"=")))
        else:
            pieces.append(unquote_to_bytes(piece))
        at = cut
    return b"".join(pieces)


def _multipart(body: bytes, boundary: bytes) -> Iterator[_Place]:
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
            yield name[1].decode("utf-8", "replace"), head_end + 4, end
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
