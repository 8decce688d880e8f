"""The one path of every message, from a verified payload to a receipt."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic

import msgspec

from channels.api import Channel, Outcome, P, Raw, Receipt, Reference, Refusal
from gateway import envelope as wire
from gateway.directory.lookup import Directory
from gateway.events import InboxEvents
from gateway.identity import identify
from gateway.objects import Objects, ObjectsUnavailable
from gateway.queue.dead_letters import INLINE_PAYLOAD, DeadLetter, DeadLetters, DeadReason, account, place
from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.publisher import Publisher
from gateway.sealing import Inbox, Sealed, seal
from normalizers.message import Attachment, Incomplete, Malformed, Problem

_CONFLICT = Problem("", "conflict", "The same idempotency key was used before with other content.")


class Pipeline(Generic[P]):
    """The Intake of one inbox."""

    def __init__(
        self,
        channel: Channel[Any, P],
        inbox: Inbox,
        *,
        directory: Directory,
        publisher: Publisher,
        dead_letters: DeadLetters,
        objects: Objects,
        events: InboxEvents,
        keep_ms: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._channel, self._inbox = channel, inbox
        self._directory, self._publisher, self._dead_letters = directory, publisher, dead_letters
        self._objects, self._events, self._keep_ms, self._clock = objects, events, keep_ms, clock

    async def __call__(self, payload: P, /) -> Receipt:
        """Take one payload. Never raises: nowhere to write is DEFERRED."""
        received_at = wire.utc_ms(self._clock())
        try:
            try:
                sealed = await self._seal(payload, received_at)
                answers = await self._publish(sealed)
            except Incomplete as fault:
                return self._rejected(fault.problems, "incomplete")
            except Malformed as fault:
                kept = await self._bury(payload, "malformed", fault, received_at)
                return Receipt(outcome=Outcome.REJECTED, references=kept, problems=fault.problems)
            except (QueueUnavailable, ObjectsUnavailable):
                raise
            except Exception as bug:  # a bug of ours is never the customer's bounce
                kept = await self._bury(payload, "error", bug, received_at)
                return Receipt(outcome=Outcome.ACCEPTED, references=kept)
        except Exception as nowhere:
            # What QueueUnavailable says are fixed words of ours: "the spool is full".
            self._events.deferred(str(nowhere) if isinstance(nowhere, QueueUnavailable) else place(nowhere))
            return Receipt(outcome=Outcome.DEFERRED)
        return self._receipt(sealed, answers)

    async def replay(self, payload: P, received_at: datetime) -> Receipt:
        """Take the payload of a dead letter, in its own time; raises what stops it and buries nothing."""
        sealed = await self._seal(payload, received_at)
        return self._receipt(sealed, await self._publish(sealed))

    async def _seal(self, payload: P, received_at: datetime) -> list[Sealed]:
        channel, normalize = self._channel, self._channel.normalize
        messages = await asyncio.to_thread(normalize, payload) if channel.heavy(payload) else normalize(payload)
        original = channel.raw(payload)
        raw = await self._keep(original) if original is not None else None
        sealed = []
        for message in messages:
            lookup = await self._directory.find(message.requester.addresses)
            stored = [await self._store(one) for one in message.attachments] if message.attachments else ()
            sealed.append(seal(message, self._inbox, lookup, received_at, tuple(stored), raw))
        return sealed

    async def _keep(self, original: Raw) -> wire.RawOriginal:
        kept = await self._objects.put(original.content, "raw")
        return wire.RawOriginal(uri=kept.uri, sha256=kept.sha256, media_type=original.media_type)

    async def _store(self, attachment: Attachment) -> wire.EnvelopeAttachment:
        kept = None if attachment.content is None else await self._objects.put(attachment.content, "attachments")
        return wire.EnvelopeAttachment(
            name=attachment.name,
            media_type=attachment.media_type,
            size=kept.size if kept else None,
            sha256=kept.sha256 if kept else None,
            uri=kept.uri if kept else attachment.remote,
            status="stored" if kept else "omitted" if attachment.omitted_reason else "pending",
            inline_id=attachment.inline_id,
            omitted_reason=attachment.omitted_reason,
        )

    async def _publish(self, sealed: list[Sealed]) -> list[Published]:
        if len(sealed) == 1:
            return [await self._publisher.publish(self._entry(sealed[0]))]
        answers = await asyncio.gather(
            *(self._publisher.publish(self._entry(one)) for one in sealed), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if isinstance(answer, Published)]

    def _entry(self, sealed: Sealed) -> Entry:
        event = wire.encode(sealed.envelope)
        envelope = sealed.envelope
        return Entry(
            stream=sealed.tier,
            mark=sealed.identity.mark,
            fingerprint=sealed.fingerprint,
            keep_ms=self._keep_ms,
            conversation=sealed.conversation,
            size=len(event),
            fields=(
                *("id", envelope.id, "type", envelope.type, "channel", self._inbox.channel),
                *("inbox", self._inbox.name, "tier", sealed.tier, "event", event),
            ),
        )

    def _receipt(self, sealed: list[Sealed], answers: list[Published]) -> Receipt:
        if Published.CONFLICT in answers:
            return self._rejected((_CONFLICT,), "conflict")
        if not sealed:
            self._events.refused(Refusal.UNSUPPORTED, "nothing to ticket")
        references = []
        for one, answer in zip(sealed, answers, strict=True):
            id, reference, duplicate = one.identity.id, one.identity.reference, answer is Published.DUPLICATE
            self._events.accepted(
                reference=reference,
                id=id,
                tier=one.tier,
                status=one.status,
                duplicate=duplicate,
                unproven=one.unproven,
            )
            # The promise that counts is the one on the queue: a retry does not start the clock again.
            reply_by = None if duplicate else one.reply_by
            references.append(Reference(id=id, reference=reference, duplicate=duplicate, reply_by=reply_by))
        return Receipt(outcome=Outcome.ACCEPTED, references=tuple(references))

    def _rejected(self, problems: tuple[Problem, ...], reason: str) -> Receipt:
        self._events.rejected(reason, [problem.code for problem in problems])
        return Receipt(outcome=Outcome.REJECTED, problems=problems)

    async def _bury(self, payload: P, reason: DeadReason, error: Exception, received_at: datetime) -> tuple[Reference]:
        content = msgspec.json.encode(payload)
        identity = identify(f"dead:{self._inbox.name}:{content.decode()}")
        uri = (await self._objects.put(content, "payloads")).uri if len(content) > INLINE_PAYLOAD else None
        await self._dead_letters.bury(
            DeadLetter(
                identity=identity,
                channel=self._inbox.channel,
                inbox=self._inbox.name,
                reason=reason,
                error=account(error),
                payload=content,
                payload_uri=uri,
                received_at=received_at,
            )
        )
        self._events.buried(reason=reason, id=identity.id, error=place(error))
        return (Reference(id=identity.id, reference=identity.reference),)
