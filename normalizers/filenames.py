"""Names of files as strangers give them."""

import re

from normalizers.text import clean_line

LONGEST = 200

_FORBIDDEN = re.compile(r'[<>:"|?*]')
_LONGEST_SUFFIX = 20


def clean_filename(value: str) -> str:
    """A name without path, controls or bidi overrides that any system can store; empty if nothing is left."""
    base = clean_line(value[-4096:], 4096).replace("\\", "/").rpartition("/")[2]
    name = _FORBIDDEN.sub("_", base).strip(" .")
    if len(name) <= LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        return name[:LONGEST]
    return stem[: LONGEST - len(suffix) - 1] + dot + suffix
