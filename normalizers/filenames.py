"""Names of files as strangers give them."""

import re

from normalizers.text import clean_line, cut_utf8

LONGEST = 200
"""Characters."""
_LONGEST_BYTES = 255
_LONGEST_SUFFIX = 20
_LONGEST_READ = 4096

_FORBIDDEN = re.compile(r'[<>:"|?*]')
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e007f]"
)
# Windows opens the device, whatever the suffix:
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file#naming-conventions
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?=\s*(?:\.|$))", re.IGNORECASE)


def clean_filename(value: str) -> str:
    """A name without path, controls or bidi overrides that any system can store; empty if nothing is left."""
    line = clean_line(_INVISIBLE.sub("", value[-_LONGEST_READ:]), _LONGEST_READ)
    base = line.replace("\\", "/").rpartition("/")[2]
    name = _FORBIDDEN.sub("_", base).strip(" .")
    if _DEVICE.match(name):
        name = f"_{name}"
    if len(name) <= LONGEST and len(name) * 3 <= _LONGEST_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        return _cut(name, 0)
    tail = f".{suffix}"
    return _cut(stem, len(tail), len(tail.encode("utf-8", "replace"))).rstrip(" .") + tail


def _cut(name: str, characters: int, size: int = 0) -> str:
    """To what leaves room for so many characters, and bytes, behind it."""
    return cut_utf8(name[: LONGEST - characters], _LONGEST_BYTES - size)[0].rstrip()
