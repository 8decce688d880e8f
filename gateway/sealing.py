"""Message to ticket envelope: who it is for, what it is worth, when it came. Pure."""

from datetime import datetime

import msgspec

from channels.api import ReplyTo, nowhere
from gateway import envelope as wire
from gateway.directory.lookup import Lookup
from gateway.identity import Identity, digest16, identify
from gateway.tagging.conditions import Facts
from gateway.tagging.rules import NORMAL, Added, Rule, added
from gateway.tagging.sla import Asked, Promise, Sla, promise
from gateway.tagging.tags import tags
from gateway.tagging.tier import TierDecision, TierPolicy, decide
from normalizers.languages import detect
from normalizers.message import Kind, Message, MessageWarning

_KIND_IN_KEY = {kind: Kind.MESSAGE.value if kind is Kind.EDIT else kind.value for kind in Kind}
_AWAITED = (Kind.MESSAGE, Kind.CALLBACK, Kind.CALL)


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an envelope that are the same for every message of an inbox."""

    name: str
    channel: str
    brand: str | None
    dataschema: str
    policy: TierPolicy
    promises: tuple[Promise, ...] = ()
    rules: tuple[Rule, ...] = ()
    reply_to: ReplyTo = nowhere
    """Where the answer to a message of this inbox, with that envelope id, should come back to."""


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope with what the queue needs beside it."""

    identity: Identity
    fingerprint: bytes
    tier: str
    status: str
    unproven: bool = False
    envelope: wire.TicketEnvelope

    @property
    def conversation(self) -> str:
        """What decides about the partition: all that is said in one thread stays in order."""
        return f"{self.envelope.data.inbox}:{self.envelope.data.thread.key}"

    @property
    def reply_by(self) -> datetime | None:
        """What the customer is promised."""
        sla = self.envelope.data.sla
        return (sla.callback_due_at or sla.first_reply_due_at) if sla else None


def idempotency_key(inbox: str, message: Message) -> str:
    """The same for the same message however often and wherever it is delivered again.

    An edit that is announced as a message elsewhere is still one thing: every version has an id of its own.
    """
    return f"{inbox}:{_KIND_IN_KEY[message.kind]}:{message.identity or message.external_id}"


def seal(
    message: Message,
    inbox: Inbox,
    lookup: Lookup,
    received_at: datetime,
    attachments: tuple[wire.EnvelopeAttachment, ...],
    raw: wire.RawOriginal | None,
) -> Sealed:
    """Build the envelope; equal arguments give an equal envelope."""
    key = idempotency_key(inbox.name, message)
    identity = identify(key)
    decision = decide(lookup, message.proof, inbox.policy)
    language = language_of(message)
    more = _added(message, inbox, decision.value, language, received_at)
    sla = _sla(message, inbox, more.brand, decision.value, received_at)
    trace = identity.mark.hex()
    envelope = wire.TicketEnvelope(
        specversion="1.0",
        id=identity.id,
        source=f"/channels/{inbox.name}",
        type=wire.CALL_UPDATED if message.update and message.kind is Kind.CALL else wire.TYPES[message.kind],
        subject=f"{inbox.channel}:{message.thread.key}",
        time=wire.utc_ms(message.sent_at) if message.sent_at else received_at,
        datacontenttype="application/json",
        dataschema=inbox.dataschema,
        traceparent=f"00-{trace}-{trace[16:]}-01",
        data=wire.EnvelopeData(
            reference=identity.reference,
            channel=inbox.channel,
            medium=message.medium,
            inbox=inbox.name,
            brand=more.brand,
            kind=message.kind,
            tier=_tier(decision, lookup),
            tags=tags(
                channel=inbox.channel,
                medium=message.medium,
                tier=decision.value,
                inbox=inbox.name,
                brand=more.brand,
                unproven=decision.unproven,
            )
            + more.tags,
            priority=more.priority,
            requester=_requester(message, decision, lookup),
            submitter=_submitter(message),
            recipients=message.recipients,
            subject=message.subject,
            text=message.text,
            text_full=message.text_full,
            html=message.html,
            language=language,
            thread=_thread(message, inbox.reply_to(message, identity.id)),
            attachments=attachments,
            external_id=message.external_id,
            idempotency_key=key,
            received_at=received_at,
            sent_at=wire.utc_ms(message.sent_at) if message.sent_at else None,
            sla=sla,
            callback=message.callback,
            call=message.call,
            related=message.related + (lookup.customer.related if lookup.customer else ()),
            flags=message.flags,
            raw=raw,
            warnings=_warnings(message, lookup),
            mail=message.mail,
        ),
    )
    return Sealed(
        identity=identity,
        fingerprint=digest16(f"{key}\n{message.fingerprint}") if message.fingerprint else b"",
        tier=decision.value,
        status=decision.status,
        unproven=decision.unproven,
        envelope=envelope,
    )


def language_of(message: Message) -> str:
    """As its channel says, else as it reads."""
    return message.language or detect(f"{message.subject or ''}\n{message.text}")


def facts(message: Message, inbox: Inbox, tier: str, language: str, received_at: datetime) -> Facts:
    """What the rules see of a message."""
    return Facts(
        message,
        channel=inbox.channel,
        inbox=inbox.name,
        brand=inbox.brand,
        tier=tier,
        language=language,
        received_at=received_at,
    )


def asked(message: Message, inbox: Inbox, brand: str | None, tier: str) -> Asked | None:
    """What the policies see of it; None for an edit, a deletion or a later part of a call, which start no clock."""
    if message.update or message.kind not in _AWAITED:
        return None
    return Asked(
        channel=inbox.channel,
        medium=message.medium,
        inbox=inbox.name,
        brand=brand,
        tier=tier,
        callback=message.kind is Kind.CALLBACK,
    )


def _added(message: Message, inbox: Inbox, tier: str, language: str, received_at: datetime) -> Added:
    if not inbox.rules:
        return Added(tags=(), priority=NORMAL, brand=inbox.brand)
    return added(inbox.rules, facts(message, inbox, tier, language, received_at))


def _sla(message: Message, inbox: Inbox, brand: str | None, tier: str, received_at: datetime) -> Sla | None:
    awaited = asked(message, inbox, brand, tier) if inbox.promises else None
    if awaited is None:
        return None
    wanted = message.callback
    window = (wanted.window_start, wanted.window_end) if wanted else (None, None)
    return promise(awaited, inbox.promises, received_at, window)


def _tier(decision: TierDecision, lookup: Lookup) -> wire.TierTag:
    return wire.TierTag(
        value=decision.value,
        claimed=decision.claimed,
        status=decision.status,
        source=lookup.source,
        as_of=lookup.as_of,
    )


def _requester(message: Message, decision: TierDecision, lookup: Lookup) -> wire.EnvelopeRequester:
    customer = lookup.customer
    return wire.EnvelopeRequester(
        name=message.requester.name,
        addresses=message.requester.addresses,
        customer_id=customer.customer_id if customer else None,
        organization=customer.organization if customer else None,
        proof=decision.proof,
        evidence=message.evidence,
    )


def _submitter(message: Message) -> wire.EnvelopeSubmitter | None:
    who = message.submitter
    return wire.EnvelopeSubmitter(name=who.name, addresses=who.addresses) if who else None


def _thread(message: Message, reply_to: str | None) -> wire.EnvelopeThread:
    t = message.thread
    return wire.EnvelopeThread(
        key=t.key,
        external_id=t.external_id,
        parent=t.parent,
        references=t.references,
        is_reply=t.is_reply,
        answers=t.answers,
        evidence=t.evidence,
        reply_to=reply_to,
    )


def _warnings(message: Message, lookup: Lookup) -> tuple[MessageWarning, ...]:
    if lookup.status == "ambiguous":
        ambiguous = MessageWarning("customer_ambiguous", "several customers share this address; none was chosen")
        return (*message.warnings, *lookup.notes, ambiguous)
    return message.warnings + lookup.notes if lookup.notes else message.warnings
