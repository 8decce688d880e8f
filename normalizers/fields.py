"""The fields of a form that a browser or a program sent, and everything wrong with them at once."""

import codecs
import hashlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from normalizers.message import Incomplete, Malformed, MessageWarning, Problem
from normalizers.text import clean_line, clean_text, find_email

_MOST_FIELDS = 100
_MOST_WARNINGS = 10

Limits = Mapping[str, int]
"""Every field a form knows, in the order of its page, and how many characters it may have."""


class Fields:
    """What was sent, by field, and the first thing wrong with each; a field that is wrong reads as empty."""

    def __init__(self, values: Mapping[str, Any], limits: Limits) -> None:
        self._values, self._limits = values, limits
        self._problems: dict[str, Problem] = {}
        for field in limits:
            value = values.get(field)
            if value is not None and not isinstance(value, str):
                self.wrong(field, "not_text", f"The {field} must be a string.")

    def wrong(self, field: str, code: str, message: str) -> None:
        """Note a problem; the first of a field stands."""
        self._problems.setdefault(field, Problem(f"/{field}", code, message))

    def is_wrong(self, field: str) -> bool:
        return field in self._problems

    def raw(self, field: str) -> str:
        """As sent."""
        return "" if self.is_wrong(field) else self._values.get(field) or ""

    def line(self, field: str) -> str:
        """One clean line within the field's limit."""
        limit = self._limits[field]
        # Two more: cutting at a gap takes the gap away too, and the line would seem to fit.
        return self._within(limit, field, clean_line(self.raw(field), limit + 2))

    def text(self, field: str) -> str:
        """Clean text of any number of lines, within the field's limit; empty where it is blank."""
        text = clean_text(self.raw(field))
        return self._within(self._limits[field], field, text) if text.strip() else ""

    def email(self, field: str) -> str:
        """The one address that was typed, in its canonical spelling."""
        typed = self.raw(field)
        email = find_email(typed)
        if email is None and typed.strip():
            self.wrong(field, "invalid_email", "This is not one email address.")
        return email or ""

    def require(self, field: str, found: str, message: str) -> None:
        """Note a field of which nothing was found, and nothing else is wrong."""
        if not found:
            self.wrong(field, "required", message)

    def check(self) -> None:
        """Raises `Incomplete` with every problem, in the order of the form."""
        if self._problems:
            raise Incomplete(*(self._problems[field] for field in self._limits if field in self._problems))

    def unknown(self) -> tuple[MessageWarning, ...]:
        """The first of the fields that the form does not know."""
        names = islice((field for field in self._values if field not in self._limits), _MOST_WARNINGS)
        return tuple(MessageWarning("unknown_field", clean_line(name, 40)) for name in names)

    def _within(self, limit: int, field: str, value: str) -> str:
        if len(value) <= limit:
            return value
        self.wrong(field, "too_long", f"The {field} must have at most {limit} characters.")
        return ""


def read_fields(body: bytes, media_type: str, limits: Limits) -> Fields:
    """Of a JSON object, or of a form where the media type is any other. Raises `Malformed` for what is unreadable."""
    return _read_json(body, limits) if media_type == "application/json" else _read_form(body, limits)


def as_typed(body: bytes, names: Iterable[str]) -> dict[str, str]:
    """What a browser sent, however wrong, to fill its form in again; the first of a repeated field."""
    first = body.decode(errors="replace").split("&", _MOST_FIELDS)[:_MOST_FIELDS]
    known, typed = frozenset(names), dict[str, str]()
    for field, value in parse_qsl("&".join(first)):
        if field in known:
            typed.setdefault(field, value)
    return typed


def identified(nonce: str, submission_id: str, *, keyed: bool, body: bytes) -> tuple[str, str | None]:
    """The id of a submission, and the fingerprint of its content where the sender chose that id.

    The nonce of the page outranks what the adapter was told or made.
    """
    if nonce:
        submission_id, keyed = "nonce:" + hashlib.sha256(nonce.encode()).hexdigest(), True
    return submission_id, hashlib.sha256(body).hexdigest() if keyed else None


def _read_json(body: bytes, limits: Limits) -> Fields:
    try:
        # Windows tools put a byte order mark before UTF-8; RFC 8259 section 8.1 allows to ignore it.
        values = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unreadable("invalid_json", "The body is not valid JSON in UTF-8.") from None
    if not isinstance(values, dict):
        raise _unreadable("invalid_json", "The body must be a JSON object.")
    if len(values) > _MOST_FIELDS:
        raise _too_many_fields()
    return Fields(values, limits)


def _read_form(body: bytes, limits: Limits) -> Fields:
    if body.count(b"&") >= _MOST_FIELDS:
        raise _too_many_fields()
    try:
        pairs = parse_qsl(body.decode(), errors="strict")
    except UnicodeDecodeError:
        raise _unreadable("invalid_encoding", "The form is not UTF-8.") from None
    fields = Fields(dict(pairs), limits)
    names = [name for name, _ in pairs]
    for field in limits:
        if names.count(field) > 1:
            fields.wrong(field, "repeated", f"The {field} was sent more than once.")
    return fields


def _too_many_fields() -> Malformed:
    return _unreadable("too_many_fields", f"At most {_MOST_FIELDS} fields can be sent.")


def _unreadable(code: str, message: str) -> Malformed:
    return Malformed(Problem("", code, message))
