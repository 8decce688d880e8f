"""The ticket envelope: what the core system reads, one CloudEvents 1.0 document per message."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from gateway.tagging.sla import Sla
from gateway.tagging.tier import Status
from normalizers.mailed import Mail
from normalizers.message import Address, Call, Callback, Flags, Kind, MessageWarning, Proof, Related

SCHEMA = "ticket-envelope-1.json"
"""The file name of the envelope's JSON Schema, served under `/schemas/`."""

TYPES = {
    Kind.MESSAGE: "support.message.received.v1",
    Kind.EDIT: "support.message.edited.v1",
    Kind.DELETE: "support.message.deleted.v1",
    Kind.CALLBACK: "support.callback.requested.v1",
    Kind.CALL: "support.call.received.v1",
    Kind.OPT_OUT: "support.optout.received.v1",
    Kind.BOUNCE: "support.bounce.received.v1",
    Kind.ATTACHMENT: "support.attachment.failed.v1",
    Kind.NOTICE: "support.notice.received.v1",
}

CALL_UPDATED = "support.call.updated.v1"


class TierTag(msgspec.Struct, frozen=True, kw_only=True):
    """The tier, and what it rests on. `as_of` is when the directory was read."""

    value: str
    claimed: str | None
    status: Status
    source: str | None
    as_of: datetime | None


class EnvelopeRequester(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, whom the directory takes them for, and how far that is proven."""

    name: str | None
    addresses: tuple[Address, ...]
    customer_id: str | None
    organization: str | None
    proof: Proof
    evidence: tuple[str, ...]


class EnvelopeSubmitter(msgspec.Struct, frozen=True, kw_only=True):
    """Who typed it, where that is not the requester."""

    name: str | None
    addresses: tuple[Address, ...]


class EnvelopeThread(msgspec.Struct, frozen=True, kw_only=True):
    """The channel's own conversation reference."""

    key: str
    external_id: str | None
    parent: str | None
    references: tuple[str, ...]
    is_reply: bool
    answers: str | None = None
    """The id of the envelope this answers, proved by a reply token of ours."""
    evidence: tuple[str, ...] = ()
    """What speaks for the conversation, strongest first."""
    reply_to: str | None = None
    """The address to put into Reply-To of an answer: what comes back to it proves which envelope it answers."""


class EnvelopeAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file and where it is kept; `size` in bytes. `omitted_reason` says why there is no `uri`."""

    name: str
    media_type: str
    size: int | None
    sha256: str | None
    uri: str | None
    status: str
    inline_id: str | None
    omitted_reason: str | None
    sniffed_type: str | None = None
    """What the content itself looks like; None where nobody can tell. `media_type` is what its sender says."""


class RawOriginal(msgspec.Struct, frozen=True, kw_only=True):
    """The original, byte for byte."""

    uri: str
    sha256: str
    media_type: str


class EnvelopeData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about the message; absent is null, lists are never null."""

    reference: str
    channel: str
    medium: str
    inbox: str
    brand: str | None
    kind: Kind
    tier: TierTag
    tags: tuple[str, ...]
    priority: str
    requester: EnvelopeRequester
    submitter: EnvelopeSubmitter | None
    recipients: tuple[Address, ...]
    subject: str | None
    text: str
    text_full: str | None
    html: str | None
    language: str | None
    thread: EnvelopeThread
    attachments: tuple[EnvelopeAttachment, ...]
    external_id: str
    idempotency_key: str
    received_at: datetime
    sent_at: datetime | None
    sla: Sla | None
    callback: Callback | None
    call: Call | None
    related: tuple[Related, ...]
    flags: Flags
    raw: RawOriginal | None
    warnings: tuple[MessageWarning, ...]
    mail: Mail | None = None


class TicketEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """CloudEvents 1.0, structured mode. Readers ignore fields they do not know."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str
    dataschema: str
    traceparent: str
    data: EnvelopeData


_encoder = msgspec.json.Encoder()
decode = msgspec.json.Decoder(TicketEnvelope).decode
"""Bytes of a stream entry's `event` to a TicketEnvelope. Raises msgspec.ValidationError."""


def encode(envelope: TicketEnvelope) -> bytes:
    """The wire form, UTF-8 JSON."""
    return _encoder.encode(envelope)


def utc_ms(moment: datetime) -> datetime:
    """The same moment in UTC, to the millisecond."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment - timedelta(0, 0, moment.microsecond % 1000)


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the wire form."""
    schema = msgspec.json.schema(TicketEnvelope)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA, **schema}
