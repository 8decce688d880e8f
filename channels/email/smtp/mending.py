"""From bytes on the wire to lines of a message. No I/O."""

from collections.abc import Iterator

from channels.email.line_ends import CRLF, PIECE, bare_line_ends, normalized


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
