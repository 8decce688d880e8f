"""A ticket posted by a program to a message."""

import base64
import codecs
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from normalizers.filenames import clean_filename
from normalizers.html import html_to_text
from normalizers.json_objects import JsonObject, Report
from normalizers.message import (
    Address,
    Attachment,
    Incomplete,
    Malformed,
    Message,
    Problem,
    Proof,
    Related,
    Requester,
    Thread,
)
from normalizers.phones import e164
from normalizers.text import clean_text, find_email

_LONGEST_TEXT = 100_000
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


class ApiPayload(msgspec.Struct, frozen=True, kw_only=True):
    """One POST, undecoded: only the normalizer reads it."""

    client: str
    """The configured name of the program, found by its token."""
    body: bytes
    submission_id: str
    """Digest of the `Idempotency-Key` header, or made by the adapter for this POST; a key outranks an external_id."""
    keyed: bool = False
    """Whether the program chose the submission id, so that the same id with another body is a conflict."""


def normalize(payload: ApiPayload) -> Sequence[Message]:
    """One message. Raises `Malformed` for an unreadable body, `Incomplete` with everything wrong at once."""
    report = Report()
    ticket = JsonObject(_decode(payload.body), "", report)
    external_id = ticket.identifier("external_id", 200)
    requester = _person(ticket.only("requester", required=True))
    submitter = _person(ticket.only("submitter"))
    subject = ticket.line("subject", 300)
    text = _text(ticket)
    attachments = tuple(_attachment(one) for one in ticket.many("attachments"))
    related = tuple(_related(one) for one in ticket.many("related"))
    sent_at = _time(ticket, "sent_at")
    ticket.rest_is_unknown()
    if report.problems:
        raise Incomplete(*report.problems)
    # Ids are the program's own: two programs may use the same ones.
    own_id = f"{payload.client}:{f'id:{external_id}' if external_id else payload.submission_id}"
    # The same key with another body is an error, whatever else the body names: the key has the last word.
    identity = f"{payload.client}:{payload.submission_id}" if payload.keyed else own_id
    return (
        Message(
            medium="api",
            external_id=external_id or payload.submission_id,
            identity=identity,
            fingerprint=hashlib.sha256(payload.body).hexdigest() if external_id or payload.keyed else None,
            requester=requester,
            submitter=submitter if submitter not in (requester, Requester()) else None,
            thread=Thread(key=own_id, external_id=external_id or None),
            proof=Proof.CLAIMED,
            evidence=(f"client={payload.client}",),
            subject=subject or None,
            text=text,
            attachments=attachments,
            related=related,
            sent_at=sent_at,
            warnings=tuple(report.warnings),
        ),
    )


def _decode(body: bytes) -> dict[str, Any]:
    try:
        # Windows tools put a byte order mark before UTF-8; RFC 8259 section 8.1 allows to ignore it.
        values = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed(Problem("", "invalid_json", "The body is not valid JSON in UTF-8.")) from None
    if not isinstance(values, dict):
        raise Malformed(Problem("", "invalid_json", "The body must be a JSON object."))
    return values


def _person(given: JsonObject | None) -> Requester:
    if given is None:
        return Requester()
    before = len(given.report.problems)
    name = given.line("name", 200)
    shorthands = [_address(given, kind, kind, given.line(kind, 254)) for kind in ("email", "phone")]
    listed = [
        _address(one, one.line("kind", 40, required=True), "value", one.line("value", 254, required=True))
        for one in given.many("addresses")
    ]
    # Who is a customer is for the directory to say.
    if given.take("customer_id", object) is not None:
        given.warn("customer_id_ignored", "customer_id")
    given.rest_is_unknown()
    addresses = tuple(dict.fromkeys(address for address in (*shorthands, *listed) if address))
    if not (name or addresses) and len(given.report.problems) == before:
        given.wrong("", "required", "At least one address or a name is required.")
    return Requester(addresses=addresses, name=name or None)


def _address(given: JsonObject, kind: str, field: str, value: str) -> Address | None:
    if not kind or not value:
        return None
    # A domain is a column of the directory, not a way to reach somebody.
    if kind == "domain" or not _KIND.fullmatch(kind):
        given.wrong("kind", "invalid_kind", "The kind must be a word such as email, phone, twitter or slack.")
        return None
    canonical: str | None = value
    if kind == "email":
        canonical = find_email(value)
    elif kind == "phone":
        canonical = e164(value, None)
    elif kind == "twitter":
        canonical = value.lower().removeprefix("@")
    if not canonical:
        given.wrong(field, f"invalid_{kind}", _INVALID.get(kind, "This is no address of its kind."))
        return None
    return Address(kind, canonical)


_INVALID = {
    "email": "This is not one email address.",
    "phone": "This is not a valid number with + and its country code.",
}


def _text(ticket: JsonObject) -> str:
    html = ticket.take("html", str)
    text = clean_text(ticket.take("text", str, required=not html) or "")
    field = "text"
    if html and html.strip():
        ticket.warn("html_not_kept", "html")
        if not text.strip():
            text, field = clean_text(html_to_text(html)), "html"
    if len(text) > _LONGEST_TEXT:
        ticket.wrong(field, "too_long", f"The {field} must have at most {_LONGEST_TEXT} characters.")
    elif not text.strip() and not any(problem.pointer == "/text" for problem in ticket.report.problems):
        ticket.wrong(field, "required", f"The {field} has no words.")
    return text


def _attachment(given: JsonObject) -> Attachment:
    name = clean_filename(given.line("name", 1000, required=True))
    media_type = given.line("media_type", 200).partition(";")[0].strip().lower()
    if media_type and not _MEDIA_TYPE.fullmatch(media_type):
        given.wrong("media_type", "invalid_media_type", "This is not a media type such as application/pdf.")
    encoded = given.take("content_base64", str, required=True) or ""
    content = b""
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        given.wrong("content_base64", "invalid_base64", "This is not base64 (RFC 4648 section 4).")
    return Attachment(name=name or "attachment", media_type=media_type or "application/octet-stream", content=content)


def _related(given: JsonObject) -> Related:
    system, kind, its_id = (given.line(field, 200, required=True) for field in ("system", "type", "id"))
    return Related(system=system, type=kind, id=its_id)


def _time(ticket: JsonObject, field: str) -> datetime | None:
    value = ticket.take(field, str)
    if value is None:
        return None
    try:
        moment = msgspec.convert(value, datetime)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        pass
    ticket.wrong(field, "invalid_time", f"The {field} must be an RFC 3339 time with its offset.")
    return None
