"""Files written into the text itself, as mail did before MIME (POSIX uuencode)."""

import binascii
import re

from normalizers.mail.headers import decode_words
from normalizers.mail.loose import Loose
from normalizers.mail.mime import Part
from normalizers.notes import Notes

_MOST_FILES = 100
_STRIPPED = 8
"""Spaces a server may have taken off the end of a line."""
_ENCODINGS = ("x-uuencode", "uuencode", "x-uue")

_BEGIN = re.compile(r"^begin [0-7]{3,4} (\S[^\n]{0,254})\n", re.MULTILINE)
_LINES = re.compile(r"(?:[!-`][ -`]{1,87}\n){1,60000}(?:[` ]?\n)?end[ \t]*(?:\n|\Z)")


def take_uuencoded(text: str) -> tuple[str, list[Loose]]:
    """The text without them, and what they hold; what is not clearly such a file stays text."""
    if "begin " not in text:
        return text, []
    kept: list[str] = []
    files: list[Loose] = []
    at = 0
    for begin in _BEGIN.finditer(text):
        if begin.start() < at or len(files) >= _MOST_FILES:
            continue
        block = _LINES.match(text, begin.end())
        content = _decoded(block[0]) if block else None
        if block is None or content is None:
            continue
        kept.append(text[at : begin.start()])
        files.append(Loose(name=begin[1], media_type="application/octet-stream", content=content))
        at = block.end()
    return ("".join([*kept, text[at:]]).strip("\n") if files else text), files


def undo_uuencode(part: Part) -> Loose | None:
    """A part that is encoded so as a whole; None where it is not, or not clearly."""
    encoding = part.headers.first("content-transfer-encoding").strip().lower()
    if encoding not in _ENCODINGS or part.is_large:
        return None
    _, files = take_uuencoded(part.body(Notes()).decode("latin-1").replace("\r\n", "\n"))
    if len(files) != 1:
        return None
    name = decode_words(part.filename, Notes()) or files[0].name
    return Loose(name=name, media_type=part.media_type, content=files[0].content)


def _decoded(block: str) -> bytes | None:
    pieces = []
    for line in block.split("\n"):
        if line in ("end", "", "`", " ") or line.startswith("end"):
            break
        try:
            piece = binascii.a2b_uu(line)
        except binascii.Error:
            return None
        if len(line) + _STRIPPED < len(piece) * 4 // 3:
            return None
        pieces.append(piece)
    return b"".join(pieces) or None
