"""A mail cut into its parts (RFC 2046) without copying it, in bounded time and depth.

Not the standard library's parser: it recurses into every level, looks at every line once per level and keeps a
string object per line, so ten thousand nested parts end in a RecursionError and 25 MB of short lines in minutes.
"""

import re
from collections.abc import Iterator

from normalizers.mail.headers import Headers, parameters, read_headers
from normalizers.mail.pieces import PartPieces, pieces_of
from normalizers.mail.transfer import decode_transfer, note_damage, transfer_encoding
from normalizers.notes import Notes

_MOST_PARTS = 1000
_DEEPEST = 50
_MOST_DELIMITERS = 20_000
_LARGE = 64 * 1024

_DELIMITER_END = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,99}/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}(?=[\s;,(]|$)")


class Part:
    """One part: its headers, and its body as a range of the mail."""

    def __init__(self, content: bytes, headers: Headers, start: int, end: int, default_type: str) -> None:
        self.headers = headers
        self.children: list[Part] = []
        self.number = 0
        """Place among the leaves in the order of the mail, from 1."""
        self._content = content
        self._start = start
        self._end = end
        line = headers.first("content-type")
        _, self.parameters = parameters(line)
        named = _MEDIA_TYPE.match(line.lower())
        self.media_type = named[0] if named else default_type
        self.disposition, self._disposition_parameters = parameters(headers.first("content-disposition"))

    @property
    def filename(self) -> str:
        """As the sender gave it, undecoded; empty where there is none."""
        return self._disposition_parameters.get("filename") or self.parameters.get("name") or ""

    def leaves(self) -> "Iterator[Part]":
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    @property
    def is_large(self) -> bool:
        """Whether its content, decoded, does not belong into memory whole."""
        return self._end - self._start > _LARGE

    def body(self, notes: Notes, most: int | None = None) -> bytes:
        """With the transfer encoding undone; of a large part the first `most` bytes or a little more."""
        if most is not None and self._end - self._start > 4 * most + _LARGE:
            return self._beginning(most, notes)
        encoding = self.headers.first("content-transfer-encoding")
        return decode_transfer(self._content[self._start : self._end], encoding, notes)

    def pieces(self, notes: Notes) -> PartPieces:
        """The same, read piece by piece when it is needed."""
        encoding = transfer_encoding(self.headers.first("content-transfer-encoding"), notes)
        pieces = pieces_of(self._content, self._start, self._end, encoding)
        if not pieces.in_order:
            note_damage(notes)
        return pieces

    def _beginning(self, most: int, notes: Notes) -> bytes:
        read = bytearray()
        for piece in self.pieces(notes):
            read += piece
            if len(read) > most:
                break
        return bytes(read)

    def raw_body(self) -> memoryview:
        """As it came."""
        return memoryview(self._content)[self._start : self._end]


def read_parts(content: bytes, start: int, notes: Notes) -> Part:
    """The tree of the mail that begins at `start`: at most 1,000 parts, 50 deep; no delimiters, one text part."""
    return _Reader(content, notes).part(start, len(content), 0, "text/plain")


class _Reader:
    def __init__(self, content: bytes, notes: Notes) -> None:
        self._content = content
        self._notes = notes
        self._parts = 0
        self._leaves = 0
        self._delimiters = 0

    def part(self, start: int, end: int, depth: int, default_type: str) -> Part:
        headers, body = read_headers(self._content, start, end, self._notes)
        part = Part(self._content, headers, body, end, default_type)
        self._parts += 1
        if part.media_type.startswith("multipart/"):
            self._open(part, body, end, depth)
        if not part.children:
            self._leaves += 1
            part.number = self._leaves
        return part

    def _open(self, part: Part, start: int, end: int, depth: int) -> None:
        if depth >= _DEEPEST:
            self._notes.add("too_deep", f"parts nested deeper than {_DEEPEST} are in the raw original only")
            return
        boundary = part.parameters.get("boundary", "").rstrip()
        child_type = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
        if boundary:
            for child_start, child_end in self._ranges(b"\n--" + boundary.encode("utf-8", "replace"), start, end):
                part.children.append(self.part(child_start, child_end, depth + 1, child_type))
        if not part.children:
            self._notes.add("boundary_missing", "a multipart without its delimiters was read as one text")
            part.media_type = "text/plain"

    def _ranges(self, delimiter: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """What lies between the delimiter lines; a missing last one is where the enclosing part ends."""
        opened: int | None = None
        at = start - 1  # the body of a multipart begins after a line end
        while (found := self._content.find(delimiter, at, end)) >= 0:
            self._delimiters += 1
            line_end = _DELIMITER_END.match(self._content, found + len(delimiter), end)
            at = found + 1
            if line_end is None and self._delimiters < _MOST_DELIMITERS:
                continue
            if opened is not None and found >= opened:
                yield opened, found - (self._content[found - 1] == 0x0D)
            if line_end is not None and line_end[1]:
                return
            if line_end is None or self._parts >= _MOST_PARTS or self._delimiters >= _MOST_DELIMITERS:
                self._notes.add("parts_cut", f"parts past the {_MOST_PARTS}th are in the raw original only")
                return
            opened = line_end.end()
            at = opened - 1
        if opened is not None and opened < end:
            yield opened, end
