"""The contents of large parts, decoded piece by piece in bounded memory: to the byte what `transfer` makes of them."""

import binascii
import re
from collections.abc import Iterator, Sequence

from normalizers.mail.transfer import ALPHABET, BLANK_LINE, REST, WHITE_SPACE, Encoding, unpadded
from normalizers.message import Pieces

_PIECE = 256 * 1024
_MOST_PADDING = 64

_PADDING = re.compile(rb"=[= \t\r\n]*\Z")
_STRANGE = re.compile(rb"[^A-Za-z0-9+/= \t\r\n]")
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")

_Range = tuple[int, int]


class PartPieces(Pieces):
    """The content of one part; `content` is the mail, in memory or mapped into it."""

    def __init__(self, content: bytes, ranges: Sequence[_Range], encoding: Encoding, *, in_order: bool = True) -> None:
        self._content, self._ranges, self._encoding = content, tuple(ranges), encoding
        self.in_order = in_order
        """Whether all of it could be read."""

    def __iter__(self) -> Iterator[bytes]:
        read = {Encoding.BASE64: _base64, Encoding.QUOTED: _quoted, Encoding.NONE: _plain}[self._encoding]
        for start, end in self._ranges:
            yield from read(self._content, start, end)


def pieces_of(content: bytes, start: int, end: int, encoding: Encoding) -> PartPieces:
    """Of the part at `start`; base64 is looked through once, so that damage can be told beforehand."""
    if encoding is not Encoding.BASE64 or _is_strict(content, start, end):
        return PartPieces(content, [(start, end)], encoding)
    first = _NOT_BLANK.search(content, start, end)
    begin = first.start() if first else end
    blank = BLANK_LINE.search(content, begin, end)
    if blank and _is_strict(content, begin, blank.start()):
        return PartPieces(content, [(begin, blank.start())], encoding, in_order=False)
    padding = content.find(b"=", start, end)
    if padding < 0:
        return PartPieces(content, [(start, end)], encoding, in_order=False)
    ranges = [(start, padding)]
    if not _STRANGE.search(content, padding, end):  # some senders encode, and pad, in pieces
        ranges.append((padding, end))
    return PartPieces(content, ranges, encoding, in_order=False)


def _is_strict(content: bytes, start: int, end: int) -> bool:
    """Whether base64 stands there that is in order for `binascii`, white space aside."""
    letters = padding = 0
    for at in range(start, end, _PIECE):
        packed = content[at : min(at + _PIECE, end)].translate(None, WHITE_SPACE)
        strange = packed.translate(None, ALPHABET)
        letters += len(packed) - len(strange)
        padding += len(strange)
        if padding > _MOST_PADDING or strange.strip(b"="):
            return False
    if padding and not (letters and _PADDING.match(content, content.find(b"=", start, end), end)):
        return False
    return not letters % 4 or (letters % 4, padding) in ((2, 2), (3, 1))


def _plain(content: bytes, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _PIECE):
        yield content[at : min(at + _PIECE, end)]


def _base64(content: bytes, start: int, end: int) -> Iterator[bytes]:
    carried = b""
    for piece in _plain(content, start, end):
        packed = carried + piece.translate(None, REST)
        usable = len(packed) - len(packed) % 4
        yield binascii.a2b_base64(packed[:usable])
        carried = packed[usable:]
    yield unpadded(carried)


def _quoted(content: bytes, start: int, end: int) -> Iterator[bytes]:
    """Cut after line ends; a line without one is cut where no escape is."""
    at = start
    while at < end:
        cut = min(at + _PIECE, end)
        if cut < end:
            line_end = content.rfind(b"\n", at, cut)
            cut = line_end + 1 if line_end >= 0 else _between_escapes(content, at, cut)
        yield binascii.a2b_qp(content[at:cut])
        at = cut


def _between_escapes(content: bytes, at: int, cut: int) -> int:
    """Before an escape that would be cut in two."""
    escape = content.rfind(b"=", max(at + 1, cut - 2), cut)
    return escape if escape > at else cut
