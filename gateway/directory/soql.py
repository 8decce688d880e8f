"""SOQL from words of strangers: a value gets into a query as an escaped literal, and in no other way."""

import re
from collections.abc import Sequence

FIELD = r"[A-Za-z][A-Za-z0-9_]{0,79}"
"""The API name of a field."""
_FIELD = re.compile(rf"(?:{FIELD}\.)?{FIELD}")
_ESCAPES = str.maketrans(
    {"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)


def literal(value: str) -> str:
    """A quoted string, as "Quoted String Escape Sequences" of the SOQL reference has it. Raises ValueError for
    control characters that have no escape."""
    escaped = value.translate(_ESCAPES)
    if not escaped.isprintable():
        raise ValueError("a control character")
    return f"'{escaped}'"


def field(name: str) -> str:
    """The name as it stands. Raises ValueError for anything but the API name of a field, or of one of its parent."""
    if not _FIELD.fullmatch(name):
        raise ValueError("is not the API name of a field")
    return name


def any_of(names: Sequence[str], values: Sequence[str]) -> str:
    """The condition that one of the fields has one of the values."""
    listed = ", ".join(literal(value) for value in dict.fromkeys(values))
    return " OR ".join(f"{field(name)} IN ({listed})" for name in names)
