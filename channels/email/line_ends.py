"""Line ends as SMTP has them: the same mail is the same, byte for byte, whatever door it came through. No I/O."""

from collections.abc import Iterator
from typing import Final

PIECE: Final = 256 * 1024
"""Bytes worked on at once: bytes.replace() and its like keep every other thread waiting until they end."""
CRLF: Final = b"\r\n"

_CR_TO_LF = bytes.maketrans(b"\r", b"\n")
_CR, _LF = 0x0D, 0x0A


def bare_line_ends(content: bytes) -> int:
    """How many CR and LF stand alone."""
    return content.count(b"\n") + content.count(b"\r") - 2 * content.count(CRLF)


def normalized(content: bytes) -> bytes:
    """Bare CR and bare LF made CRLF, so that nobody downstream sees other lines than we do."""
    # A text-mode writer on Windows makes CRCRLF of CRLF; as two line ends it would cut the header short.
    # Whole-buffer passes: a regular expression takes many seconds for hostile megabytes of line feeds.
    content = content.replace(b"\r\r\n", CRLF).replace(CRLF, b"\n")
    return content.translate(_CR_TO_LF).replace(b"\n", CRLF)


def as_by_smtp(content: bytes) -> bytes:
    """Every line ended by CRLF, the last one too."""
    if len(content) <= PIECE:
        whole = normalized(content) if bare_line_ends(content) else content
    else:
        whole = b"".join(_pieces(content))
    return whole if whole.endswith(CRLF) or not whole else whole + CRLF


def pieces_as_by_smtp(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same of a mail that comes in pieces."""
    held = last = b""
    for piece in pieces:
        whole = held + piece
        end = len(whole.rstrip(b"\r"))  # what follows a CR decides what it is
        held, whole = whole[end:], whole[:end]
        if whole:
            last = normalized(whole) if bare_line_ends(whole) else whole
            yield last
    if held:
        yield normalized(held)
    elif last and not last.endswith(CRLF):
        yield CRLF


def _pieces(content: bytes) -> Iterator[bytes]:
    """In steps, so that a thread that does it keeps nobody else waiting."""
    at, end = 0, len(content)
    while at < end:
        cut = min(at + PIECE, end)
        while cut < end and content[cut - 1] == _CR and content[cut] in (_CR, _LF):  # CRCRLF is one line end
            cut += 1
        piece = content[at:cut]
        yield normalized(piece) if bare_line_ends(piece) else piece
        at = cut
