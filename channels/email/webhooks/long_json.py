"""A JSON document with strings as long as mails, decoded in steps: msgspec lets no thread run meanwhile. No I/O."""

import re
from collections.abc import Iterator, Mapping, Sequence
from secrets import token_hex
from typing import Final, NamedTuple, TypeAlias

import msgspec

from channels.email.line_ends import PIECE

Piece: TypeAlias = tuple[int, int]
"""Where it begins and ends."""

STEP: Final = 64 * 1024
LONG: Final = 64 * 1024
"""Bytes of a string that is set aside."""
MOST_STRINGS: Final = 100_000
"""Beyond them the rest is taken as it is."""

# Stops before an escape that the next step has the rest of, and so between no pair of surrogates.
_CHARACTERS = re.compile(
    rb"(?:[^\"\\]++"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u(?![dD][89abAB])[0-9a-fA-F]{4}"
    rb"|\\[^u])*+",
    re.DOTALL,
)
_QUOTE: Final = 0x22


class Document(NamedTuple):
    """What is left when the long strings are taken out, each with a mark in its place."""

    small: bytes
    long: Mapping[str, Sequence[Piece]]
    """Where in the body the pieces of each are, by its mark."""


def set_aside(body: bytes) -> Document:
    """Raises msgspec.DecodeError where a string is none."""
    kept: list[bytes] = []
    long: dict[str, list[Piece]] = {}
    secret = token_hex(16)
    at = copied = 0
    for _ in range(MOST_STRINGS):
        if (at := _quote(body, at) + 1) == 0:
            break
        start, pieces = at, list(_pieces(body, at))
        at = pieces[-1][1] if pieces else start
        if at >= len(body):
            raise msgspec.DecodeError("a string without an end")
        if at - start > LONG:
            mark = f"{secret}:{len(long)}"
            long[mark] = pieces
            kept += body[copied:start], mark.encode()
            copied = at
        at += 1
    return Document(b"".join([*kept, body[copied:]]), long)


def text(body: bytes, pieces: Sequence[Piece]) -> bytes:
    """The string that stands there, in UTF-8. Raises msgspec.DecodeError."""
    return b"".join(msgspec.json.decode(b'"' + body[start:end] + b'"', type=str).encode() for start, end in pieces)


def _quote(body: bytes, at: int) -> int:
    for start in range(at, len(body), PIECE):
        if (found := body.find(b'"', start, start + PIECE)) >= 0:
            return found
    return -1


def _pieces(body: bytes, at: int) -> Iterator[Piece]:
    """Up to the quote or the end, cut between characters."""
    end = len(body)
    while at < end and body[at] != _QUOTE:
        found = _CHARACTERS.match(body, at, min(at + STEP, end))
        cut = found.end() if found else at
        while at < cut < end and body[cut] & 0xC0 == 0x80:  # the rest of a character in UTF-8
            cut -= 1
        if cut == at:
            raise msgspec.DecodeError("no string")
        yield at, cut
        at = cut
