"""The bytes between DATA and the lone dot: finds their end, and makes the message of them. No I/O."""

from collections.abc import Iterator
from typing import Final

PIECE: Final = 256 * 1024
"""Bytes worked on at once: bytes.replace() and its like keep every other thread waiting until they end."""

_CRLF = b"\r\n"
_END = b"\r\n.\r\n"
_CR = 0x0D
_CR_TO_LF = bytes.maketrans(b"\r", b"\n")


class DataReader:
    """Fed chunks as they arrive; keeps at most `limit` bytes of message, and nothing once it is too big.

    Only CRLF.CRLF ends the data. A dot between bare line feeds or carriage returns does not: two
    servers that disagree about that let a sender smuggle in a second message (CVE-2024-27305).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # A CRLF before the first byte makes the first line like any other.
        self._kept = bytearray(_CRLF)
        self._keeping = True
        self._end = 0
        self.received = 0
        """Bytes fed that belong to the data, its end included."""

    def feed(self, chunk: bytes) -> bytes | None:
        """None while the end has not come; then what followed it, which is commands again."""
        kept = self._kept
        start = max(len(kept) - len(_END) + 1, 0)
        before = len(kept)
        kept += chunk
        end = kept.find(_END, start)
        if end < 0:
            self.received += len(chunk)
            self._spare(len(kept) - len(_END) + 1)
            return None
        self._end = end
        rest = bytes(memoryview(kept)[end + len(_END) :])
        self.received += len(kept) - before - len(rest)
        self._spare(end)
        return rest

    @property
    def size(self) -> int:
        """Bytes held in memory now."""
        return len(self._kept)

    def discard(self) -> None:
        """Keep nothing of this message; the end is still found."""
        self._keeping = False
        del self._kept[: -len(_END)]

    def _spare(self, size: int) -> None:
        """`size`: what the message is known to have at least."""
        if self._keeping and size > self._limit:
            self._keeping = False
        if not self._keeping:
            del self._kept[: -len(_END)]

    def message(self) -> bytes | None:
        """The message, dots unstuffed, every line ended by CRLF; None if it is too big. Once, at the end."""
        if not self._keeping:
            return None
        pieces: list[bytes] = []
        size = 0
        for piece in self._pieces():
            size += len(piece)
            if size > self._limit:
                return None
            pieces.append(piece)
        self._kept = bytearray()
        return b"".join(pieces)

    def _pieces(self) -> Iterator[bytes]:
        kept, at, end = self._kept, len(_CRLF), self._end + len(_CRLF)
        while at < end:
            cut = min(at + PIECE, end)
            # Not within CRLF or CRCRLF, which are one line end.
            while cut < end and kept[cut - 1] == _CR and kept.startswith((b"\n", _CRLF), cut):
                cut += 1
            piece = bytes(memoryview(kept)[at:cut])
            if piece.startswith(b".") and kept.startswith(_CRLF, at - len(_CRLF)):
                piece = piece[1:]
            piece = piece.replace(b"\r\n.", _CRLF)
            yield normalized(piece) if bare_line_ends(piece) else piece
            at = cut


def bare_line_ends(content: bytes) -> int:
    """How many CR and LF stand alone."""
    return content.count(b"\n") + content.count(b"\r") - 2 * content.count(_CRLF)


def normalized(content: bytes) -> bytes:
    """Bare CR and bare LF made CRLF, so that nobody downstream sees other lines than we do."""
    # A text-mode writer on Windows makes CRCRLF of CRLF; as two line ends it would cut the header short.
    # Whole-buffer passes: a regular expression takes many seconds for hostile megabytes of line feeds.
    content = content.replace(b"\r\r\n", _CRLF).replace(_CRLF, b"\n")
    return content.translate(_CR_TO_LF).replace(b"\n", _CRLF)
