"""From bytes on the wire to lines of a message. No I/O."""

from collections.abc import Iterator
from typing import Final

PIECE: Final = 256 * 1024
"""Bytes worked on at once: bytes.replace() and its like keep every other thread waiting until they end."""
CRLF: Final = b"\r\n"

_CR_TO_LF = bytes.maketrans(b"\r", b"\n")


class Mender:
    """Unstuffs dots and ends every line with CRLF, in pieces cut anywhere."""

    def __init__(self) -> None:
        self._held = b""
        self._at_line_start = True

    def mend(self, piece: bytes, *, last: bool = False) -> bytes:
        """What is certain so far: a CR at the end of a piece waits for the next one, as it may be half a line end."""
        # Never more than two: CRCRLF is the longest line end.
        whole = self._held + piece
        held = 0 if last else next((n for n in (2, 1) if whole.endswith(b"\r" * n)), 0)
        self._held = whole[len(whole) - held :]
        whole = whole[: len(whole) - held]
        if not whole:
            return b""
        stuffed = self._at_line_start and whole.startswith(b".")
        self._at_line_start = whole.endswith(CRLF)
        mended = whole[stuffed:].replace(b"\r\n.", CRLF)
        return normalized(mended) if bare_line_ends(mended) else mended


def mended(content: bytes, mender: Mender, *, last: bool) -> Iterator[bytes]:
    """The next of a message in pieces, each of which holds up other threads for a millisecond at most."""
    size = len(content)
    for at in range(0, size, PIECE):
        yield mender.mend(content[at : at + PIECE], last=last and at + PIECE >= size)
    if last and not size:
        yield mender.mend(b"", last=True)


def bare_line_ends(content: bytes) -> int:
    """How many CR and LF stand alone."""
    return content.count(b"\n") + content.count(b"\r") - 2 * content.count(CRLF)


def normalized(content: bytes) -> bytes:
    """Bare CR and bare LF made CRLF, so that nobody downstream sees other lines than we do."""
    # A text-mode writer on Windows makes CRCRLF of CRLF; as two line ends it would cut the header short.
    # Whole-buffer passes: a regular expression takes many seconds for hostile megabytes of line feeds.
    content = content.replace(b"\r\r\n", CRLF).replace(CRLF, b"\n")
    return content.translate(_CR_TO_LF).replace(b"\n", CRLF)
