"""An envelope as the message it was, and what would be another of it now. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from gateway import envelope as wire
from normalizers.message import Message, Requester, Thread

OF_DIRECTORY = frozenset(
    {"customer_ambiguous", "customer_conflict", "customer_unreadable", "directory_incomplete", "tier_unmapped"}
)
"""Warnings that are about an answer, not about the message."""
_PARTS: Mapping[str, Sequence[str]] = {
    "tier": ("value", "claimed", "status", "source"),
    "requester": ("customer_id", "organization", "proof"),
}


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an envelope that would be another now."""

    field: str
    then: str
    now: str


def message_of(envelope: wire.TicketEnvelope) -> Message:
    """The message an envelope was sealed from, without its files; its proof is the one that counted then."""
    data = envelope.data
    who, thread, typed = data.requester, data.thread, data.submitter
    prefix = f"{data.inbox}:{data.idempotency_key.removeprefix(f'{data.inbox}:').partition(':')[0]}:"
    return Message(
        kind=data.kind,
        medium=data.medium,
        external_id=data.external_id,
        identity=data.idempotency_key.removeprefix(prefix),
        requester=Requester(addresses=who.addresses, name=who.name),
        submitter=Requester(addresses=typed.addresses, name=typed.name) if typed else None,
        proof=who.proof,
        evidence=who.evidence,
        recipients=data.recipients,
        thread=msgspec.convert(thread, Thread, from_attributes=True),
        subject=data.subject,
        text=data.text,
        text_full=data.text_full,
        html=data.html,
        language=data.language,
        sent_at=data.sent_at,
        callback=data.callback,
        call=data.call,
        mail=data.mail,
        update=envelope.type == wire.CALL_UPDATED,
        flags=data.flags,
        warnings=tuple(one for one in data.warnings if one.code not in OF_DIRECTORY),
    )


def as_kept(now: wire.TicketEnvelope, data: wire.EnvelopeData) -> wire.TicketEnvelope:
    """With the files, the original and the thread that nobody decides anew."""
    kept = msgspec.structs.replace(now.data, attachments=data.attachments, raw=data.raw, thread=data.thread)
    return msgspec.structs.replace(now, data=kept)


def changed_between(then: wire.TicketEnvelope, now: wire.TicketEnvelope) -> Iterator[Changed]:
    """Of what is decided here; when the directory was read is no difference."""
    for (field, before), (_, after) in zip(_decided(then.data), _decided(now.data), strict=True):
        if before != after:
            yield Changed(field=field, then=in_words(before), now=in_words(after))


def _decided(data: wire.EnvelopeData) -> Iterator[tuple[str, object]]:
    for part, fields in _PARTS.items():
        yield from ((f"{part}.{field}", getattr(getattr(data, part), field)) for field in fields)
    yield from ((field, getattr(data, field)) for field in ("brand", "priority", "tags", "language"))
    for field in ("policy", "calendar", "first_reply_due_at", "callback_due_at", "outside_hours"):
        yield f"sla.{field}", getattr(data.sla, field) if data.sla else None


def in_words(value: object) -> str:
    """In a line of text, as an operator would write it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(in_words, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
