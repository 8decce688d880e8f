"""The bytes between DATA and the lone dot: finds their end, and makes the message of them. No I/O."""

from typing import Final

from channels.email.line_ends import CRLF
from channels.email.smtp.mending import Mender, mended

_END: Final = b"\r\n.\r\n"
_UNSURE: Final = len(_END) - 1
"""Bytes that may be the beginning of the end."""


class DataReader:
    """Fed chunks as they arrive; keeps what nobody took, at most `limit` bytes, and nothing once it is too big.

    Only CRLF.CRLF ends the data. A dot between bare line feeds or carriage returns does not: two
    servers that disagree about that let a sender smuggle in a second message (CVE-2024-27305).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # A CRLF before the first byte makes the first line like any other.
        self._kept = bytearray(CRLF)
        self._begin = len(CRLF)
        self._end: int | None = None
        self._taken = 0
        self._keeping = True
        self.received = 0
        """Bytes fed that belong to the data, its end included."""

    def feed(self, chunk: bytes) -> bytes | None:
        """None while the end has not come; then what followed it, which is commands again."""
        kept = self._kept
        before = len(kept)
        start = max(before - _UNSURE, 0)
        kept += chunk
        end = kept.find(_END, start)
        if end < 0:
            self.received += len(chunk)
            self._spare(len(kept) - _UNSURE)
            return None
        rest = bytes(memoryview(kept)[end + len(_END) :])
        self.received += len(kept) - before - len(rest)
        self._spare(end)
        self._end = end
        return rest

    @property
    def size(self) -> int:
        """Bytes held in memory now."""
        return len(self._kept)

    @property
    def too_big(self) -> bool:
        """Whether the message is known to have more than the limit, as it is sent."""
        return not self._keeping

    def discard(self) -> None:
        """Keep nothing of this message; the end is still found."""
        self._keeping = False
        del self._kept[: -len(_END)]

    def _spare(self, end: int) -> None:
        """`end`: where the end of the data is in what is kept, or where it could be."""
        if self._keeping and self._taken + end + len(CRLF) - self._begin > self._limit:
            self._keeping = False
        if not self._keeping:
            del self._kept[: -len(_END)]

    def take(self) -> bytes:
        """What is known to be of the message and was not taken before, as it was sent; it is held no longer."""
        if not self._keeping:
            return b""
        kept, ended = self._kept, self._end is not None
        end = max(len(kept) - _UNSURE, 0) if self._end is None else self._end + len(CRLF)
        piece = bytes(memoryview(kept)[self._begin : end])
        self._begin = max(self._begin - end, 0)
        del kept[: len(kept) if ended else end]
        self._taken += len(piece)
        return piece

    def message(self) -> bytes | None:
        """The message, dots unstuffed, every line ended by CRLF; None if it is too big. Once, at the end."""
        if not self._keeping:
            return None
        pieces: list[bytes] = []
        size = 0
        for piece in mended(self.take(), Mender(), last=True):
            size += len(piece)
            if size > self._limit:
                return None
            pieces.append(piece)
        return b"".join(pieces)
