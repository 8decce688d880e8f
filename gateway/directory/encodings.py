"""The text of a file, decoded block by block: one call for all of a large file would let nobody else run."""

import codecs
from collections.abc import Iterator

from gateway.directory.options import Encoding

BLOCK = 1 << 20
"""Bytes decoded in one call: some milliseconds."""


class NotEncoded(Exception):
    """The text is in another encoding, as seen first on this line."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def to_utf8(content: bytes, encoding: Encoding) -> bytes:
    """The same text in UTF-8. Raises NotEncoded."""
    if encoding == "utf-8":
        for _ in _decoded(content, encoding):
            pass
        return content
    return b"".join(text.encode() for text in _decoded(content, encoding))


def is_in(content: bytes, encoding: Encoding) -> bool:
    """Whether the text may be in this encoding."""
    try:
        for _ in _decoded(content, encoding):
            pass
    except NotEncoded:
        return False
    return True


def _decoded(content: bytes, encoding: Encoding) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    view, place = memoryview(content), 0
    try:
        for place in range(0, len(content), BLOCK):
            yield decoder.decode(view[place : place + BLOCK])
        place = len(content)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        # What was kept of the block before is the beginning of one letter: it has no end of a line.
        line = content.count(b"\n", 0, place) + error.object.count(b"\n", 0, error.start) + 1
        raise NotEncoded(line) from error
