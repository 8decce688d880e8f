"""Why a message is tagged as it is: asked of the code that decides, in a process that listens to nobody."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from channels import registry
from channels.api import Channel, P
from gateway import envelope as wire
from gateway import parts
from gateway.directory.in_order import InOrder
from gateway.directory.lookup import Heard, Lookup
from gateway.directory.matching import question
from gateway.explaining.again import Changed, as_kept, changed_between, in_words, message_of
from gateway.failures import place
from gateway.inboxes import Tagging
from gateway.metrics import Metrics
from gateway.objects import ObjectsUnavailable
from gateway.originals import Originals, place_of
from gateway.queue.keys import conversation_hash, partitions
from gateway.sealing import Inbox, Sealed, asked, facts, language_of, seal
from gateway.settings import Settings, compiled
from gateway.settings.file import KeyPath
from gateway.tagging.rules import why
from gateway.tagging.sla import Asked
from gateway.tagging.tier import TierDecision, decide
from normalizers.message import Address, Malformed, Message, Proof


class Unexplained(Exception):
    """There is nothing to explain it by; the message says what to do."""


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One rule or policy. `refused` is the first condition that did not fit, `place` where that (or all of it) is."""

    name: str
    place: str
    refused: str | None = None
    adds: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One message and everything that decided about it, in that order."""

    envelope: wire.TicketEnvelope
    """As it would be sealed now, without its attachments and its original."""
    asked_for: tuple[Address, ...]
    """What the directory was asked for: addresses in their canonical spelling, and mail domains."""
    heard: tuple[Heard, ...]
    lookup: Lookup
    vouched: Proof
    """The channel's proof, before the directory was asked."""
    needed: Proof | None
    """The weakest proof that gets the claimed tier."""
    decision: TierDecision
    facts: Mapping[str, str]
    """What rules and policies see in a word or two."""
    rules: tuple[Tried, ...]
    policies: tuple[Tried, ...]
    """Up to the one that fits; none where no clock runs."""
    clock: bool
    """Whether anybody waits for an answer to this kind of message."""
    language_by: str
    conversation: str
    partition: int
    changed: tuple[Changed, ...] | None = None
    """Against the envelope that stands on the queue; None where there is none."""


class Explainer:
    """Explains by the settings as they are now."""

    def __init__(self, settings: Settings, directory: InOrder) -> None:
        self._settings, self._directory = settings, directory
        self._tagging, self._calendars = Tagging(settings), compiled.calendars(settings.sla)

    async def payload(self, name: str, content: bytes, received_at: datetime) -> list[Explanation]:
        """The messages in a channel's payload, as a dead letter keeps it. Raises Unexplained."""
        inbox = self._settings.channels.get(name)
        if inbox is None:
            raise Unexplained(_no_inbox(name, self._settings))
        try:
            channel = registry.load(inbox.type)
            payload = msgspec.json.decode(content, type=channel.payload)
        except LookupError as error:
            raise Unexplained(str(error.args[0])) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unexplained(f"it is no payload of the channel {inbox.type}: {error}") from error
        try:
            messages = await self._read(channel, payload)
        except (ObjectsUnavailable, parts.DependencyDown) as error:
            raise Unexplained(f"the object store does not give its original ({error}): see objects.url") from error
        except Malformed as fault:
            raise Unexplained(f"the channel {inbox.type} refuses it: {fault}") from fault
        except Exception as bug:  # what failed once may fail in any way again
            raise Unexplained(f"the channel {inbox.type} fails on it: {place(bug)}") from bug
        return [await self.message(name, message, received_at, "the channel") for message in messages]

    async def _read(self, channel: Channel[Any, P], payload: P) -> Sequence[Message]:
        with TemporaryDirectory() as name:
            if place_of(payload) is None and not channel.heavy(payload):
                return channel.normalize(payload)
            folder = Path(name)
            async with (
                Originals(parts.objects(self._settings), folder).back(payload) as whole,
                parts.normalizing(self._settings, folder) as normalizing,
                normalizing.normalized(channel, whole) as messages,
            ):
                return messages

    async def envelope(self, envelope: wire.TicketEnvelope) -> Explanation:
        """An envelope, from what stands in it. Raises Unexplained."""
        data = envelope.data
        found = await self.message(data.inbox, message_of(envelope), data.received_at, "the envelope")
        changed = tuple(changed_between(envelope, found.envelope))
        return msgspec.structs.replace(found, envelope=as_kept(found.envelope, data), changed=changed)

    async def message(self, name: str, message: Message, received_at: datetime, language_by: str) -> Explanation:
        """One message of an inbox. Raises Unexplained where there is no such inbox."""
        if name not in self._settings.channels:
            raise Unexplained(_no_inbox(name, self._settings))
        settings = self._settings.channels[name]
        inbox = self._tagging.inbox(name, settings.type, settings)
        heard: list[Heard] = []
        lookup = await self._directory.find(message.requester.addresses, on_heard=heard.append)
        decision = decide(lookup, message.proof, inbox.policy)
        sealed = seal(message, inbox, lookup, received_at, (), None)
        data, asks = sealed.envelope.data, question(message.requester.addresses)
        awaited = asked(message, inbox, data.brand, decision.value)
        return Explanation(
            envelope=sealed.envelope,
            asked_for=(*asks.exact, *asks.domains),
            heard=tuple(heard),
            lookup=lookup,
            vouched=message.proof,
            needed=inbox.policy.needs(decision.claimed) if decision.claimed is not None else None,
            decision=decision,
            facts=dict(_facts(sealed)),
            rules=tuple(self._rules(message, inbox, decision.value, received_at)),
            policies=tuple(self._policies(inbox, awaited)) if awaited else (),
            clock=awaited is not None,
            language_by=language_by if message.language else "its letters and words",
            conversation=sealed.conversation,
            partition=conversation_hash(sealed.conversation) % self._settings.queue.partitions,
        )

    def stream(self, explanation: Explanation) -> str:
        """The key of the stream it goes to."""
        keys = partitions(self._settings.queue.prefix, self._settings.queue.partitions)[explanation.partition]
        return keys.stream(explanation.decision.value)

    def _rules(self, message: Message, inbox: Inbox, tier: str, received_at: datetime) -> Iterator[Tried]:
        seen = facts(message, inbox, tier, language_of(message), received_at)
        for number, refused in enumerate(why(inbox.rules, seen)):
            rule, path = self._settings.rules[number], ("rules", number)
            if refused is None:
                then = rule.then.model_dump(exclude_none=True)
                adds = (f"{field} {in_words(value)}" for field, value in then.items() if value)
                yield Tried(name=str(number + 1), place=self._place(path), adds=tuple(adds))
                continue
            key = compiled.asked(rule.when, self._calendars)[refused]
            wanted: Any = rule.when.model_dump(exclude_none=True, by_alias=True)
            for step in key:
                wanted = wanted[step]
            place = self._place((*path, "when", *key))
            yield Tried(name=str(number + 1), place=place, refused=f"{'.'.join(map(str, key))}: {in_words(wanted)}")

    def _policies(self, inbox: Inbox, awaited: Asked) -> Iterator[Tried]:
        for number, policy in enumerate(inbox.promises):
            path, refused = ("sla", "policies", number), policy.refused(awaited)
            if refused is None:
                targets = (("first_reply", policy.first_reply), ("callback", policy.callback))
                adds = tuple(f"{name} within {target}" for name, target in targets if target is not None)
                yield Tried(name=policy.name, place=self._place(path), adds=adds)
                return
            wanted = dict(policy.conditions).get(refused)
            said = f"{refused}: {in_words(wanted)}" if wanted else "it promises callbacks alone"
            yield Tried(name=policy.name, place=self._place((*path, "when", refused)), refused=said)

    def _place(self, path: KeyPath) -> str:
        source = self._settings.source
        return f"{source.file}:{source.locate(path)[0]}" if source.file else ".".join(map(str, path))


def _facts(sealed: Sealed) -> Iterator[tuple[str, str]]:
    data = sealed.envelope.data
    for field in ("channel", "medium", "inbox", "brand", "language"):
        yield field, getattr(data, field) or "none"
    yield "tier", data.tier.value
    yield "to", in_words([one.value for one in data.recipients])
    people = (data.requester, data.submitter)
    yield "from", in_words([one.value for who in people if who for one in who.addresses])
    raised = [name for name, value in msgspec.structs.asdict(data.flags).items() if value]
    yield "flags", in_words(raised)


def _no_inbox(name: str, settings: Settings) -> str:
    return f"there is no inbox named {name!r}; there are: {', '.join(settings.channels) or 'none'}"


@asynccontextmanager
async def explaining(settings: Settings) -> AsyncIterator[Explainer]:
    """Opens the directory and nothing else. Raises CannotStart."""
    async with parts.directory(settings, parts.prepare_directory(settings), Metrics()) as directory:
        yield Explainer(settings, directory)
