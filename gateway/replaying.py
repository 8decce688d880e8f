"""Dead letters again: through the pipeline they failed in, in a process that listens to nobody."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from channels import registry
from channels.api import Outcome
from gateway import parts
from gateway.failures import account, place
from gateway.identity import identity_of
from gateway.inboxes import Inboxes
from gateway.metrics import Metrics
from gateway.normalizing.pool import NoRoom
from gateway.objects import Kind, Objects, ObjectsUnavailable, Stored, digest_of
from gateway.originals import Originals
from gateway.pipeline import Pipeline
from gateway.queue.connection.waiting import wait_command
from gateway.queue.dead_letter_box import DeadLetterBox, KeptLetter
from gateway.queue.dead_letters import ENVELOPES
from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.keys import partitions
from gateway.queue.straight import Straight, straight
from gateway.settings import Settings


class Verdict(StrEnum):
    """What became of a letter. After every one but FAILED it is gone."""

    PUBLISHED = "published"
    DUPLICATE = "duplicate"
    """All of it had been published before."""
    NOTHING = "nothing"
    """Its normalizer finds nothing to ticket in it any more."""
    FAILED = "failed"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One letter tried again. `why` quotes nobody; `references` are the tickets it became."""

    id: str
    reference: str
    verdict: Verdict
    references: tuple[str, ...] = ()
    why: str | None = None


class _Event(msgspec.Struct):
    """What has to be readable of an envelope to put it on its stream."""

    class Data(msgspec.Struct):
        class Tier(msgspec.Struct):
            value: str

        tier: Tier
        channel: str
        inbox: str
        reference: str

    id: str
    type: str
    data: Data


_event = msgspec.json.Decoder(_Event).decode


class NotTried(Exception):
    """The letter could not even be tried, which is no attempt; the message says what to do."""


class Replayer:
    """Tries letters again; `dry_run` changes nothing anywhere."""

    def __init__(
        self,
        settings: Settings,
        inboxes: Inboxes,
        box: DeadLetterBox,
        objects: Objects,
        originals: Originals,
        *,
        dry_run: bool,
    ) -> None:
        self._settings, self._inboxes, self._box, self._objects = settings, inboxes, box, objects
        self._originals, self._dry_run = originals, dry_run
        self._keep_ms = int(settings.queue.dedupe_window.total_seconds() * 1000)
        self._pipelines: dict[str, Pipeline[Any]] = {}
        self._published = set[str]()

    async def replay(self, letter: KeptLetter) -> Replayed:
        """One letter. Raises QueueUnavailable: it is where it was."""
        try:
            try:
                verdict, references = await self._tried(letter)
            except (QueueUnavailable, NotTried):
                raise
            except NoRoom as error:
                raise NotTried(f"the scratch disk takes nothing ({error}): see spool.dir") from error
            except ObjectsUnavailable as error:
                raise NotTried(f"the object store takes or gives nothing ({error}): see objects.url") from error
            except Exception as error:  # what failed once may fail in any way again
                if not self._dry_run:
                    await self._box.failed(letter, account(error))
                return _replayed(letter, Verdict.FAILED, why=place(error))
        except NotTried as why:
            return _replayed(letter, Verdict.FAILED, why=str(why))
        return _replayed(letter, verdict, references)

    async def _tried(self, letter: KeptLetter) -> tuple[Verdict, tuple[str, ...]]:
        content = await self._payload(letter)
        if letter.reason in ENVELOPES:
            return await self._again(letter, content)
        pipeline, kind = self._way(letter)
        try:
            decoded = msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotTried(
                f"its payload is not one this version of the channel {letter.channel!r} can read: "
                "replay it with the version that buried it, or send its content again"
            ) from error
        async with self._originals.back(decoded) as payload:
            receipt = await pipeline.replay(payload, letter.received_at)
        if receipt.outcome is not Outcome.ACCEPTED:
            codes = ", ".join(problem.code for problem in receipt.problems)
            raise NotTried(f"the same idempotency key was used for other content since ({codes})")
        if not self._dry_run:
            await self._box.remove(letter)
        new = any(not reference.duplicate for reference in receipt.references)
        verdict = Verdict.PUBLISHED if new else Verdict.DUPLICATE if receipt.references else Verdict.NOTHING
        return verdict, tuple(reference.reference for reference in receipt.references)

    def _way(self, letter: KeptLetter) -> tuple[Pipeline[Any], type[Any]]:
        """The pipeline of its inbox, and the type of its payload."""
        inbox = self._settings.channels.get(letter.inbox)
        if inbox is None:
            raise NotTried(f"there is no inbox named {letter.inbox!r} any more: put it back into the configuration")
        if inbox.type != letter.channel:
            raise NotTried(
                f"the inbox {letter.inbox!r} was of type {letter.channel!r}, and is of type {inbox.type!r} now"
            )
        try:
            if letter.inbox not in self._pipelines:
                self._pipelines[letter.inbox] = self._inboxes.pipeline(letter.inbox, inbox)
            return self._pipelines[letter.inbox], registry.load(inbox.type).payload
        except LookupError as error:
            raise NotTried(str(error)) from error

    async def _payload(self, letter: KeptLetter) -> bytes:
        if not letter.payload_uri:
            return letter.payload
        try:
            return await self._objects.get(letter.payload_uri)
        except ObjectsUnavailable as error:
            raise NotTried(f"the object store does not give its payload ({error}): see objects.url") from error

    async def _again(self, letter: KeptLetter, event: bytes) -> tuple[Verdict, tuple[str, ...]]:
        """An envelope goes back on its stream as it is, with its id."""
        try:
            found = _event(event)
            mark, fingerprint = identity_of(found.id).mark, bytes.fromhex(letter.fingerprint)
        except (msgspec.DecodeError, ValueError) as error:
            raise NotTried("its payload is no ticket envelope: nothing can be published") from error
        data = found.data
        if data.tier.value not in self._settings.tiers.order:
            raise NotTried(f"its tier {data.tier.value!r} is not in tiers.order any more")
        entry = Entry(
            stream=data.tier.value,
            mark=mark,
            fingerprint=fingerprint,
            keep_ms=self._keep_ms,
            conversation="",  # it stays in the partition of its letter
            fields=(
                *("id", found.id, "type", found.type, "channel", data.channel),
                *("inbox", data.inbox, "tier", data.tier.value, "event", event),
            ),
            size=len(event),
        )
        references = (data.reference,)
        if found.id in self._published:  # several groups gave up on it: one entry serves them all
            if not self._dry_run:
                await self._box.remove(letter)
            return Verdict.DUPLICATE, references
        answer = Published.NEW if self._dry_run else await self._box.again(letter, entry)
        if answer is not None:  # and not where it failed, or somebody else took the letter
            self._published.add(found.id)
        return (Verdict.PUBLISHED if answer is Published.NEW else Verdict.DUPLICATE), references


def _replayed(
    letter: KeptLetter, verdict: Verdict, references: tuple[str, ...] = (), *, why: str | None = None
) -> Replayed:
    return Replayed(id=letter.id, reference=letter.reference, verdict=verdict, references=references, why=why)


class _Untouched(Objects):
    """An object store that only says where it would put things."""

    async def put(self, content: bytes | Path, kind: Kind) -> Stored:
        digest, size = await digest_of(content)
        return Stored(uri=f"{kind}/{digest}", sha256=digest, size=size)


@asynccontextmanager
async def replaying(settings: Settings, url: str, box: DeadLetterBox, *, dry_run: bool) -> AsyncIterator[Replayer]:
    """The pipelines of every inbox, without their doors, on the queue at `url`. Raises CannotStart."""
    metrics, ours = Metrics(), settings.queue
    timeout = ours.timeout.total_seconds()
    prepared = parts.prepare_directory(settings)
    objects = parts.objects(settings, _Untouched if dry_run else Objects)
    async with (
        parts.connected(settings, url) as queue,
        parts.directory(settings, prepared, metrics) as directory,
        straight(
            queue,
            partitions(ours.prefix, ours.partitions),
            settings.tiers.order,
            timeout=timeout,
            wait=wait_command(ours.wait_replicas, ours.wait_fsync, timeout),
        ) as live,
        AsyncExitStack() as stack,
    ):
        if not dry_run:
            await stack.enter_async_context(parts.tallying(settings, queue, metrics))
        publisher = Straight(box.foresee) if dry_run else live
        folder = Path(stack.enter_context(TemporaryDirectory()))
        normalizing = await stack.enter_async_context(parts.normalizing(settings, folder))
        inboxes = Inboxes(
            settings,
            directory=directory,
            publisher=publisher,
            objects=objects,
            normalizing=normalizing,
            metrics=metrics,
        )
        yield Replayer(settings, inboxes, box, objects, Originals(objects, folder), dry_run=dry_run)
