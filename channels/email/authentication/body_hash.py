"""The digest of a body as RFC 6376 3.4 spells it, in linear time and little memory.

Not the library's: its patterns take quadratic time over long white space, and its list of lines ten times the memory
of the mail; both hold up every thread while they last.
"""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from mmap import mmap

PIECE: Final = 64 * 1024
_ONLY_SPACES: Final = bytes.maketrans(b"\t", b" ")


class Digest(NamedTuple):
    """Of a body, and how long it is in the spelling that was hashed."""

    value: bytes
    length: int


def body_digest(content: "bytes | mmap", start: int, *, relaxed: bool, limit: int | None = None) -> Digest:
    """SHA-256 over the first `limit` bytes; a bare line feed counts as a line end."""
    digest = hashlib.sha256()
    length = 0
    for piece in _canonical(content, start, relaxed):
        left = len(piece) if limit is None else max(0, limit - length)
        digest.update(piece[:left])
        length += len(piece)
    return Digest(digest.digest(), length)


def _canonical(content: "bytes | mmap", start: int, relaxed: bool) -> Iterator[bytes]:
    carried = b""
    """A carriage return or a space that the next piece decides about."""
    line_ends = 0
    """Held back: at the end of the body they do not count."""
    empty = True
    spaces = b" \n" if relaxed else b"\n"
    for at in range(start, len(content), PIECE):
        piece = carried + content[at : at + PIECE]
        carried = b""
        if piece.endswith(b"\r"):
            piece, carried = piece[:-1], b"\r"
        piece = piece.replace(b"\r\n", b"\n")
        if relaxed:
            piece = _single_spaces(piece.translate(_ONLY_SPACES)).replace(b" \n", b"\n")
        words = piece.rstrip(spaces)
        tail = piece[len(words) :]
        if words:
            yield from _line_ends(line_ends)
            line_ends = 0
            yield words.replace(b"\n", b"\r\n")
            empty = False
        line_ends += tail.count(b"\n")
        if tail.endswith(b" "):
            carried = b" " + carried
    if carried.endswith(b"\r"):
        yield from _line_ends(line_ends)
        yield carried
        empty = False
    if not (relaxed and empty):
        yield b"\r\n"


def _single_spaces(piece: bytes) -> bytes:
    while b"  " in piece:
        piece = piece.replace(b"  ", b" ")
    return piece


def _line_ends(count: int) -> Iterator[bytes]:
    while count:
        some = min(count, PIECE)
        yield b"\r\n" * some
        count -= some
