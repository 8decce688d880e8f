"""Header fields of mail (RFC 5322, 2047, 2231) from bytes that keep to none of them, in linear time."""

import binascii
import re
from itertools import islice
from urllib.parse import unquote_to_bytes

from normalizers.charsets import codec_for, decode, decode_header
from normalizers.mail.transfer import decode_base64
from normalizers.notes import Notes

_MOST_FIELDS = 1000
_LONGEST_VALUE = 64 * 1024
_LONGEST_BLOCK = 256 * 1024
_MOST_PARAMETERS = 100
_MOST_HIDDEN = 2
_REPLACEMENT = "\ufffd"

_BEFORE = re.compile(rb"[\r\n]*(?:>?From [^\n]*\n)?")
_FIELD_NAME = re.compile(rb"([!-9;-~]*)[ \t]*:")
_FIELD_END = re.compile(rb"\n(?![ \t])")
_FROM = re.compile(rb"\n[Ff][Rr][Oo][Mm][ \t]*:")
_LINE_END = re.compile(rb"\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
_WORD = re.compile(r"=\?([^?\s]{1,75})\?([bBqQ])\?([^?]*)\?=")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"?|([^;]*))', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_PIECE = re.compile(r"(?P<name>[^*]+)(?:\*(?P<index>\d{1,3}))?(?P<encoded>\*)?")


class Headers:
    """The fields of one part by lower-case name; values in the order of the mail, still folded and undecoded."""

    def __init__(self) -> None:
        self._values: dict[str, list[bytes]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def add(self, name: str, value: bytes) -> None:
        self._values.setdefault(name, []).append(value)

    def names(self) -> list[str]:
        return list(self._values)

    def all(self, name: str) -> list[bytes]:
        return self._values.get(name, [])

    def first(self, name: str) -> str:
        """The unfolded value of the first such field, empty where there is none."""
        values = self._values.get(name)
        return unfold(values[0]) if values else ""


def headers_start(content: bytes) -> int:
    """Where a mail's header begins: after blank lines and the line that separates mails in a mailbox file."""
    before = _BEFORE.match(content)
    return before.end() if before else 0


def read_headers(content: bytes, start: int, end: int, notes: Notes) -> tuple[Headers, int]:
    """The fields at `start`, and where the body begins: after a blank line, or at a line that is no field."""
    headers = Headers()
    count = kept = 0
    at = start
    while field := _FIELD_NAME.match(content, at, end):
        if count == _MOST_FIELDS or kept > _LONGEST_BLOCK:
            notes.add("headers_cut", "headers past 256 KiB or the 1,000th are in the raw original only")
            blank = _BLANK_LINE.search(content, at - 1, end)
            body = blank.end() if blank else end
            for found in islice(_FROM.finditer(content, at - 1, min(body, at + _LONGEST_BLOCK)), _MOST_HIDDEN):
                line_end = _FIELD_END.search(content, found.end(), body)
                stop = min(line_end.end() if line_end else body, found.end() + _LONGEST_VALUE)
                headers.add("from", content[found.end() : stop])  # there is no author but who stands in all of them
            return headers, body
        line_end = _FIELD_END.search(content, field.end(), end)
        at = line_end.end() if line_end else end
        if at - field.end() > _LONGEST_VALUE:
            notes.add("headers_cut", "what a header holds past 64 KiB is in the raw original only")
        value = content[field.end() : min(at, field.end() + _LONGEST_VALUE)]
        kept += len(value)
        count += 1
        if name := field[1]:
            headers.add(name.decode("ascii").lower(), value)
    blank = _LINE_END.match(content, at, end)
    return headers, blank.end() if blank else at


def unfold(value: bytes) -> str:
    """A field's value on one line with its encoded words still encoded: structure is read before any word is."""
    line = value.translate(_ONE_LINE).strip()
    return line.decode("ascii") if line.isascii() and b"\x1b" not in line else decode_header(line)


def decode_words(line: str, notes: Notes) -> str:
    """RFC 2047; neighbours of one charset are joined as bytes, for senders that split inside a character."""
    if "=?" not in line:
        return line
    text: list[str] = []
    raw = b""
    charset = ""
    at = 0
    for word in _WORD.finditer(line):
        gap = line[at : word.start()]
        label = word[1].partition("*")[0].lower()
        apart = not at or gap.strip() != ""  # white space between two encoded words is folding
        if apart or label != charset:
            text += decode_labelled(raw, charset, notes), gap if apart else ""
            raw = b""
        raw += _word_bytes(word[2], word[3])
        charset = label
        at = word.end()
    text += decode_labelled(raw, charset, notes), line[at:]
    return "".join(text)


def decode_labelled(data: bytes, charset: str, notes: Notes, *, guess: bool = False, whole: bool = True) -> str:
    """As `charsets.decode`; a charset that nobody knows and bytes that are no text are confessed."""
    if charset and codec_for(charset) is None:
        notes.add("unknown_charset", "a text names a charset that is not known: it was guessed")
    text = decode(data, charset, guess=guess, whole=whole)
    if _REPLACEMENT in text and _REPLACEMENT.encode() not in data:
        notes.add("damaged_text", "some bytes are a text in no charset that was tried")
    return text


def parameters(line: str) -> tuple[str, dict[str, str]]:
    """The lower-case value of a Content-Type or -Disposition and its parameters, RFC 2231 pieces put together."""
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(line)):
        if count == _MOST_PARAMETERS:
            break
        name, quoted, bare = match.groups()
        text = _ESCAPED.sub(r"\1", quoted) if quoted is not None else bare.strip()
        piece = _PIECE.fullmatch(name.lower())
        if piece and (piece["index"] or piece["encoded"]):
            numbered = pieces.setdefault(piece["name"], {})
            numbered.setdefault(int(piece["index"] or 0), (text, piece["encoded"] is not None))
        else:
            plain.setdefault(name.lower(), text)
    value = line.partition(";")[0].strip().lower()
    return value, plain | {name: _joined(numbered) for name, numbered in pieces.items()}


def _word_bytes(encoding: str, payload: str) -> bytes:
    raw = payload.encode("utf-8", "replace")
    return binascii.a2b_qp(raw, header=True) if encoding in "qQ" else decode_base64(raw)[0]


def _joined(pieces: dict[int, tuple[str, bool]]) -> str:
    raw = b""
    charset = ""
    for _, (text, encoded) in sorted(pieces.items()):
        if encoded and not raw and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        raw += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
    return decode(raw, charset, guess=False)
