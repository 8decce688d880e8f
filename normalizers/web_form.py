"""A submitted web form to a message."""

import codecs
import hashlib
from collections.abc import Mapping, Sequence, Set
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from normalizers.identities import FIELD, LONGEST, SignedIdentity, asking, unread
from normalizers.message import (
    Address,
    Incomplete,
    Malformed,
    Message,
    MessageWarning,
    Problem,
    Requester,
    Thread,
)
from normalizers.text import clean_line, clean_text, find_email

LIMITS = {"name": 200, "email": 254, "subject": 300, "message": 100_000, FIELD: LONGEST, "nonce": 200}
"""Every field the form knows, and how many characters it may have."""

_MOST_FIELDS = 100
_MOST_WARNINGS = 10


class FormPayload(msgspec.Struct, frozen=True, kw_only=True):
    """One POST, undecoded: only the normalizer reads it."""

    body: bytes
    media_type: str
    """`application/json` or `application/x-www-form-urlencoded`, without parameters."""
    submission_id: str
    """Digest of the `Idempotency-Key` header, or made by the adapter for this POST; a nonce outranks it."""
    keyed: bool = False
    """Whether the sender chose the submission id, so that the same id with another body is a conflict."""
    identity: SignedIdentity | None = None
    """What the body's identity token proves, by the adapter's keys and clock; None where there is none to read."""


def normalize(payload: FormPayload) -> Sequence[Message]:
    """One message. Raises `Malformed` for an unreadable body, `Incomplete` with every wrong field at once."""
    values, problems = _decode(payload)
    _check_types(values, problems)
    name = _line(values, "name", problems)
    subject = _line(values, "subject", problems)
    nonce = _line(values, "nonce", problems)
    email = _email(values, problems)
    text = _text(values, problems)
    if problems:
        raise Incomplete(*(problems[field] for field in LIMITS if field in problems))
    who = asking(Requester(addresses=(Address("email", email),), name=name or None), payload.identity)
    submission_id, keyed = payload.submission_id, payload.keyed
    if nonce:
        submission_id, keyed = "nonce:" + hashlib.sha256(nonce.encode()).hexdigest(), True
    return (
        Message(
            medium="form",
            external_id=submission_id,
            requester=who.requester,
            submitter=who.submitter,
            thread=Thread(key=submission_id, external_id=submission_id),
            proof=who.proof,
            evidence=who.evidence,
            fingerprint=hashlib.sha256(payload.body).hexdigest() if keyed else None,
            subject=subject or None,
            text=text,
            warnings=(*_unknown(values.keys()), *unread(values.get(FIELD) or "", payload.identity)),
        ),
    )


def as_typed(body: bytes) -> dict[str, str]:
    """What a browser sent, however wrong, to fill its form in again; the first of a repeated field."""
    first = body.decode(errors="replace").split("&", _MOST_FIELDS)[:_MOST_FIELDS]
    typed: dict[str, str] = {}
    for field, value in parse_qsl("&".join(first)):
        if field in LIMITS:
            typed.setdefault(field, value)
    return typed


_Values = Mapping[str, Any]
_Problems = dict[str, Problem]


def _decode(payload: FormPayload) -> tuple[_Values, _Problems]:
    if payload.media_type == "application/json":
        return _decode_json(payload.body), {}
    return _decode_form(payload.body)


def _decode_json(body: bytes) -> _Values:
    try:
        # Windows tools put a byte order mark before UTF-8; RFC 8259 section 8.1 allows to ignore it.
        values = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unreadable("invalid_json", "The body is not valid JSON in UTF-8.") from None
    if not isinstance(values, dict):
        raise _unreadable("invalid_json", "The body must be a JSON object.")
    if len(values) > _MOST_FIELDS:
        raise _too_many_fields()
    return values


def _decode_form(body: bytes) -> tuple[_Values, _Problems]:
    if body.count(b"&") >= _MOST_FIELDS:
        raise _too_many_fields()
    try:
        pairs = parse_qsl(body.decode(), errors="strict")
    except UnicodeDecodeError:
        raise _unreadable("invalid_encoding", "The form is not UTF-8.") from None
    values: dict[str, str] = {}
    problems: _Problems = {}
    for field, value in pairs:
        if field in values and field in LIMITS:
            problems[field] = Problem(f"/{field}", "repeated", f"The {field} was sent more than once.")
        values[field] = value
    return values, problems


def _check_types(values: _Values, problems: _Problems) -> None:
    for field, value in values.items():
        if not isinstance(value, str) and value is not None and field in LIMITS:
            problems[field] = Problem(f"/{field}", "not_text", f"The {field} must be a string.")


def _line(values: _Values, field: str, problems: _Problems) -> str:
    value = values.get(field)
    if not value or field in problems:
        return ""
    limit = LIMITS[field]
    # Two more: cutting at a gap takes the gap away too, and the line would seem to fit.
    line = clean_line(value, limit + 2)
    if len(line) > limit:
        problems[field] = _too_long(field)
    return line


def _email(values: _Values, problems: _Problems) -> str:
    if "email" in problems:
        return ""
    value = values.get("email") or ""
    if not value.strip():
        problems["email"] = Problem("/email", "required", "An email address is needed to answer.")
        return ""
    email = find_email(value)
    if email is None:
        problems["email"] = Problem("/email", "invalid_email", "This is not one email address.")
    return email or ""


def _text(values: _Values, problems: _Problems) -> str:
    if "message" in problems:
        return ""
    text = clean_text(values.get("message") or "")
    if not text.strip():
        problems["message"] = Problem("/message", "required", "The message is empty.")
    elif len(text) > LIMITS["message"]:
        problems["message"] = _too_long("message")
    return text


def _unknown(fields: Set[str]) -> tuple[MessageWarning, ...]:
    if fields <= LIMITS.keys():
        return ()
    names = islice((field for field in fields if field not in LIMITS), _MOST_WARNINGS)
    return tuple(MessageWarning("unknown_field", clean_line(name, 40)) for name in names)


def _too_long(field: str) -> Problem:
    return Problem(f"/{field}", "too_long", f"The {field} must have at most {LIMITS[field]} characters.")


def _too_many_fields() -> Malformed:
    return _unreadable("too_many_fields", f"At most {_MOST_FIELDS} fields can be sent.")


def _unreadable(code: str, message: str) -> Malformed:
    return Malformed(Problem("", code, message))
