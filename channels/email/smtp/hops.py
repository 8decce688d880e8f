"""Mail that goes round in circles, seen in its header."""

import re
from collections.abc import Callable
from typing import Final

from normalizers.mail.automatic import LOOP_MARK, MAX_HOPS

HEADER_CAP: Final = 256 * 1024
"""Bytes of a mail that are looked at."""

_MARKS: Final = 10
"""Of them that are looked at."""
_LONGEST: Final = 1000
_MARK: Final = re.compile(rb"\n" + LOOP_MARK.encode() + rb":[ \t]*(?:\r\n[ \t]+)?([^\r\n]{1,%d})" % _LONGEST)


def is_loop(content: bytes, ours: Callable[[str], bool]) -> bool:
    """Whether the mail passed too many servers, or ours before: `ours` knows our addresses. The header tells."""
    end = content.find(b"\r\n\r\n", 0, HEADER_CAP)
    header = b"\n" + content[: end if end >= 0 else HEADER_CAP].lower()
    if header.count(b"\nreceived:") > MAX_HOPS:
        return True
    marks = (mark[1] for _, mark in zip(range(_MARKS), _MARK.finditer(header), strict=False))
    return any(ours(mark.decode("utf-8", "replace").strip(" \t<>")) for mark in marks)
