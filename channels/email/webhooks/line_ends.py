"""A mail as SMTP would have brought it, whatever its provider did to its line ends. No I/O."""

from collections.abc import Iterator

from channels.email.smtp.mending import PIECE, bare_line_ends, normalized

_CR, _LF = 0x0D, 0x0A
_CRLF = b"\r\n"


def as_by_smtp(content: bytes) -> bytes:
    """Every line ended by CRLF, the last one too."""
    if len(content) <= PIECE:
        whole = normalized(content) if bare_line_ends(content) else content
    else:
        whole = b"".join(_pieces(content))
    return whole if whole.endswith(_CRLF) or not whole else whole + _CRLF


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
