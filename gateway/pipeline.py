"""The one path of every message, from a verified payload to a receipt."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Generic

import msgspec

from channels.api import Channel, Outcome, P, Receipt, Reference, Refusal
from gateway import envelope as wire
from gateway.directory.lookup import Directory
from gateway.events import InboxEvents
from gateway.failures import account, place
from gateway.identity import identify
from gateway.media_types import HEAD, poses, sniffed_type
from gateway.normalizing.pool import Normalizing, NoRoom
from gateway.objects import Objects, ObjectsUnavailable
from gateway.originals import named, place_of
from gateway.queue.dead_letters import INLINE_PAYLOAD, DeadLetter, DeadLetters, DeadReason
from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.publisher import Publisher
from gateway.sealing import Inbox, Sealed, seal
from normalizers.message import Attachment, Incomplete, Malformed, Message, MessageWarning, Problem

_CONFLICT = Problem("", "conflict", "The same idempotency key was used before with other content.")
_POSES = MessageWarning("attachment_poses", "a program goes by the name or the declared type of something else")


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
        normalizing: Normalizing,
        events: InboxEvents,
        keep_ms: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._channel, self._inbox = channel, inbox
        self._directory, self._publisher, self._dead_letters = directory, publisher, dead_letters
        self._objects, self._normalizing, self._events = objects, normalizing, events
        self._keep_ms, self._clock = keep_ms, clock

    async def __call__(self, payload: P, /) -> Receipt:
        """Take one payload. Never raises: nowhere to write is DEFERRED."""
        received_at = wire.utc_ms(self._clock())
        try:
            try:
                sealed = await self._seal(payload, received_at)
                entries = [self._entry(one) for one in sealed]
            except Incomplete as fault:
                return self._rejected(fault.problems, "incomplete")
            except Malformed as fault:
                kept = await self._bury(payload, "malformed", fault, received_at, await self._keep(payload))
                return Receipt(outcome=Outcome.REJECTED, references=kept, problems=fault.problems)
            except (QueueUnavailable, ObjectsUnavailable, NoRoom):
                raise
            except Exception as bug:  # a bug of ours is never the customer's bounce
                return await self._unread(payload, bug, received_at)
            return self._receipt(sealed, await self._publish(entries))
        except Exception as nowhere:
            # What QueueUnavailable says are fixed words of ours: "the spool is full".
            self._events.deferred(str(nowhere) if isinstance(nowhere, QueueUnavailable) else place(nowhere))
            return Receipt(outcome=Outcome.DEFERRED)

    async def replay(self, payload: P, received_at: datetime) -> Receipt:
        """Take the payload of a dead letter, in its own time; raises what stops it and buries nothing."""
        sealed = await self._seal(payload, received_at)
        return self._receipt(sealed, await self._publish([self._entry(one) for one in sealed]))

    async def _seal(self, payload: P, received_at: datetime) -> list[Sealed]:
        async with self._messages(payload) as messages:
            raw = await self._keep(payload)
            return [await self._sealed(message, received_at, raw) for message in messages]

    def _messages(self, payload: P) -> AbstractAsyncContextManager[Sequence[Message]]:
        channel = self._channel
        if channel.heavy(payload):
            return self._normalizing.normalized(channel, payload)
        return nullcontext(channel.normalize(payload))

    async def _sealed(self, message: Message, received_at: datetime, raw: wire.RawOriginal | None) -> Sealed:
        lookup = await self._directory.find(message.requester.addresses)
        if not message.attachments:
            return seal(message, self._inbox, lookup, received_at, (), raw)
        stored = tuple([await self._store(one) for one in message.attachments])
        if any(poses(one.sniffed_type, one.name, one.media_type) for one in stored):
            message = msgspec.structs.replace(message, warnings=(*message.warnings, _POSES))
        return seal(message, self._inbox, lookup, received_at, stored, raw)

    async def _keep(self, payload: P) -> wire.RawOriginal | None:
        original = self._channel.raw(payload)
        if original is None:
            return None
        kept = await self._objects.put(original.content, "raw")
        return wire.RawOriginal(uri=kept.uri, sha256=kept.sha256, media_type=original.media_type)

    async def _unread(self, payload: P, bug: Exception, received_at: datetime) -> Receipt:
        """What could not be read is published as far as it is certain, and buried whole to be tried again."""
        raw = await self._keep(payload)
        try:
            messages = self._channel.unread(payload, raw.sha256 if raw else "")
            sealed = [await self._sealed(message, received_at, raw) for message in messages]
            entries = [self._entry(one) for one in sealed]
        except Exception:  # the same bug once more
            sealed, entries = [], []
        answers = await self._publish(entries)
        buried = await self._bury(payload, "error", bug, received_at, raw, published=bool(sealed))
        if not sealed:
            return Receipt(outcome=Outcome.ACCEPTED, references=buried)
        return self._receipt(sealed, answers)

    async def _store(self, attachment: Attachment) -> wire.EnvelopeAttachment:
        content = Path(attachment.file) if attachment.file else attachment.content
        if attachment.pieces is not None:  # of a payload that its channel does not think heavy
            content = b"".join(attachment.pieces)
        sniffed, kept = None, None
        if content is not None:
            sniffed = await _sniffed(content, attachment.name)
            kept = await self._objects.put(content, "attachments")
        if isinstance(content, Path):  # there may be a hundred as large
            await asyncio.to_thread(content.unlink, missing_ok=True)
        return wire.EnvelopeAttachment(
            name=attachment.name,
            media_type=attachment.media_type,
            size=kept.size if kept else None,
            sha256=kept.sha256 if kept else None,
            uri=kept.uri if kept else attachment.remote,
            status="stored" if kept else "omitted" if attachment.omitted_reason else "pending",
            inline_id=attachment.inline_id,
            omitted_reason=attachment.omitted_reason,
            sniffed_type=sniffed,
        )

    async def _publish(self, entries: list[Entry]) -> list[Published]:
        if len(entries) == 1:
            return [await self._publisher.publish(entries[0])]
        answers = await asyncio.gather(*(self._publisher.publish(one) for one in entries), return_exceptions=True)
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

    async def _bury(
        self,
        payload: P,
        reason: DeadReason,
        error: Exception,
        received_at: datetime,
        raw: wire.RawOriginal | None,
        *,
        published: bool = False,
    ) -> tuple[Reference]:
        """`raw` is where its original is kept by now."""
        content = _letter(payload, raw)
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
        self._events.buried(reason=reason, id=identity.id, error=place(error), published=published)
        return (Reference(id=identity.id, reference=identity.reference),)


async def _sniffed(content: bytes | Path, name: str) -> str | None:
    if isinstance(content, bytes):
        return sniffed_type(content, name)
    return await asyncio.to_thread(lambda: sniffed_type(_head(content), name))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _letter(payload: Any, raw: wire.RawOriginal | None) -> bytes:
    """The payload as a dead letter has it: what is large is there by name."""
    if raw is not None and (place_of(payload) or len(getattr(payload, "content", b"")) > INLINE_PAYLOAD):
        payload = named(payload, raw.uri)
    return msgspec.json.encode(payload)
