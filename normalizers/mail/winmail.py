"""winmail.dat: Outlook's own packing of a mail (MS-OXTNEF), opened where the optional tnefparse is installed."""

import logging
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from normalizers.charsets import decode_header
from normalizers.html import html_to_text
from normalizers.mail.loose import Loose
from normalizers.mail.mime import Part
from normalizers.notes import Notes
from normalizers.text import clean_text

logging.getLogger("tnefparse").disabled = True  # it quotes strangers' files

_TYPES = ("application/ms-tnef", "application/vnd.ms-tnef")
_LARGEST = 30 * 1024 * 1024
_LONGEST_TEXT = 256 * 1024
_MOST_OBJECTS = 1000
_MOST_FILES = 100

_SIGNATURE = 0x223E9F78
_MAPI = (0x9003, 0x9005)
# What carries words and files; of the rest some, such as the table of recipients, is read without end if it is forged.
_READ = frozenset([0x9002, 0x9005, 0x8010, 0x800F, 0x9003, 0x800C, 0x9007])
_LONG_NAME, _MEDIA_TYPE = 0x3707, 0x370E
_MEDIA_TYPE_FORM = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")
_SIZES = {2: 4, 11: 4, 3: 4, 4: 4, 10: 4, 5: 8, 6: 8, 7: 8, 20: 8, 64: 8, 72: 16}
_COUNTED = (0, 13, 30, 31, 258)
_OPENED = "opened"


def is_winmail(part: Part) -> bool:
    return part.media_type in _TYPES or part.filename.lower() == "winmail.dat"


def open_winmail(part: Part, notes: Notes) -> tuple[list[Loose], str] | None:
    """Its files and its words, in place of itself; None where it stays closed, which a warning explains."""
    try:
        from tnefparse import TNEF  # type: ignore[import-untyped]  # optional: its licence is LGPL
    except ImportError:
        notes.add("winmail", "winmail.dat stays closed: to open such files, install tnefparse (pip install tnefparse)")
        return None
    try:
        parsed = TNEF(_harmless(part.body(notes, _LARGEST)), do_checksum=False)
        files = [_loose(one) for one in parsed.attachments[:_MOST_FILES]]
        words = _words(parsed)
    except Exception:  # a stranger's bytes in a library's hands; the file is kept as it came
        notes.add("winmail", "winmail.dat cannot be read: it was kept as it came")
        return None
    if len(parsed.attachments) > _MOST_FILES:
        notes.add("winmail", f"of the files in winmail.dat the first {_MOST_FILES} were taken out")
    closed = Loose(
        name=part.filename or "winmail.dat", media_type=part.media_type, content=None, omitted_reason=_OPENED
    )
    return [closed, *files], words


def _harmless(data: bytes) -> bytes:
    """Without what is not needed; raises ValueError for what would be read for very long."""
    if len(data) > _LARGEST or len(data) < 6 or struct.unpack_from("<I", data)[0] != _SIGNATURE:
        raise ValueError("no TNEF, or too much of it")
    kept = [data[:6]]
    for count, (name, start, end) in enumerate(_objects(data)):
        if count >= _MOST_OBJECTS:
            raise ValueError("too many objects")
        if name in _READ:
            if name in _MAPI:
                _check_mapi(data, start + 9, end - 2)
            kept.append(data[start:end])
    return b"".join(kept) + bytes(2)


def _objects(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Name, start and end of each: level, name, type, length, the content, a checksum."""
    at = 6
    while at + 12 <= len(data):
        _, name, _, length = struct.unpack_from("<BHHI", data, at)
        end = min(at + length + 11, len(data))
        yield name, at, end
        at = end


def _check_mapi(data: bytes, at: int, end: int) -> None:
    """Raises (struct.error too) unless every property lies within the object: counts can be forged."""
    (properties,) = struct.unpack_from("<I", data, at)
    at += 4
    for _ in range(_within(properties, at, end)):
        kind, name = struct.unpack_from("<HH", data, at)
        at += 4
        if name >= 0x8000:
            at += 16
            numbered, length = struct.unpack_from("<II", data, at)
            at += 8 if numbered == 0 else 8 + _padded(length)
        count = 1
        several = kind & 0x1000
        kind &= ~0x1000
        if several or kind in _COUNTED:
            (count,) = struct.unpack_from("<I", data, at)
            at += 4
        if kind in _COUNTED:
            for _ in range(_within(count, at, end)):
                (length,) = struct.unpack_from("<I", data, at)
                at += 4 + _padded(length)
                _within(0, at, end)
        elif kind in _SIZES:
            at += (_SIZES[kind] if kind not in (2, 11) else 2) * _within(count, at, end)
            at += 2 * (count % 2) if kind in (2, 11) else 0
        else:
            raise ValueError("unknown property")


def _within(count: int, at: int, end: int) -> int:
    if at > end or count > end - at:
        raise ValueError("a property reaches beyond its object")
    return count


def _padded(length: int) -> int:
    return length + -length % 4


def _loose(attachment: Any) -> Loose:
    texts = {one.name: one.data for one in attachment.mapi_attrs if one.name in (_LONG_NAME, _MEDIA_TYPE)}
    name = texts.get(_LONG_NAME) or attachment._name
    media_type = str(texts.get(_MEDIA_TYPE, "")).strip("\0 ").lower()
    data = attachment.data
    content = data if isinstance(data, bytes) else str(data).encode("utf-8", "replace")
    return Loose(
        name=(decode_header(name) if isinstance(name, bytes) else str(name)).strip("\0"),
        media_type=media_type if _MEDIA_TYPE_FORM.fullmatch(media_type) else "application/octet-stream",
        content=content,
    )


def _words(parsed: Any) -> str:
    body, page = parsed.body, None
    with suppress(AttributeError):
        page = parsed.htmlbody
    for value, is_page in ((body, False), (page, True)):
        value = value[0] if isinstance(value, list) and value else value
        text = decode_header(value[:_LONGEST_TEXT]) if isinstance(value, bytes) else value
        if isinstance(text, str) and text.strip("\0 \r\n\t"):
            words = text[:_LONGEST_TEXT].strip("\0")
            return clean_text(html_to_text(words) if is_page else words)
    return ""
