"""From settings to inboxes: an adapter, the host it is handed, and the pipeline behind it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from channels import registry
from channels.api import Channel, ChannelAdapter, ChannelSettings, Intake, Refusal
from gateway.directory.lookup import Directory
from gateway.envelope import SCHEMA
from gateway.events import InboxEvents
from gateway.metrics import Metrics
from gateway.normalizing.pool import Normalizing
from gateway.objects import Objects
from gateway.ownership import Owner
from gateway.pipeline import Pipeline
from gateway.queue.cursors import Cursors, InboxCursor
from gateway.queue.dead_letters import DeadLetters
from gateway.queue.publisher import Publisher
from gateway.sealing import Inbox
from gateway.settings import Settings
from gateway.settings.compiled import calendars, compiled_rules, promises
from gateway.tagging.calendars import BusinessHours
from gateway.tagging.tier import TierPolicy

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class InboxHost:
    """The Host an adapter is handed."""

    inbox: str
    public_url: str
    intake: Intake[Any]
    events: InboxEvents
    scratch: Path
    together: dict[Callable[[], Any], Any]
    """What the adapters of one gateway share, by what made it."""
    cursor: InboxCursor
    owner: Owner
    shared_port: bool = False

    def alone(self) -> AbstractAsyncContextManager[None]:
        """By whichever process of this machine comes first."""
        return self.owner.held()

    def shared(self, make: Callable[[], T], /) -> T:
        """What `make` made for the first adapter that asked with it."""
        if make not in self.together:
            self.together[make] = make()
        made: T = self.together[make]
        return made

    def refused(self, why: Refusal, detail: str) -> None:
        """Log and count a sender turned away."""
        self.events.refused(why, detail)


class Tagging:
    """What the settings make of every message, compiled once."""

    def __init__(self, settings: Settings) -> None:
        self._dataschema = f"{settings.http.public_url}/schemas/{SCHEMA}"
        self._policy = TierPolicy(
            order=tuple(settings.tiers.order),
            default=settings.tiers.default,
            minimum_proof=settings.tiers.minimum_proof,
        )
        by_name = calendars(settings.sla)
        for calendar in by_name.values():
            if isinstance(calendar, BusinessHours):
                calendar.prepare(datetime.now(UTC))
        self._promises = promises(settings.sla, by_name)
        self._rules = compiled_rules(settings.rules, by_name)

    def inbox(self, name: str, channel: str, settings: ChannelSettings) -> Inbox:
        """As its messages are sealed."""
        return Inbox(
            name=name,
            channel=channel,
            brand=settings.brand,
            dataschema=self._dataschema,
            policy=self._policy,
            promises=self._promises,
            rules=self._rules,
        )


class Inboxes:
    """What every inbox shares while the adapters are made."""

    def __init__(
        self,
        settings: Settings,
        *,
        directory: Directory,
        publisher: Publisher,
        objects: Objects,
        normalizing: Normalizing,
        metrics: Metrics,
        scratch: Path = Path(),
        shared_ports: bool = False,
    ) -> None:
        self._settings, self._directory, self._shared_ports = settings, directory, shared_ports
        self._publisher, self._objects, self._metrics = publisher, objects, metrics
        self._normalizing = normalizing
        window = settings.queue.dedupe_window
        self._keep_ms = int(window.total_seconds() * 1000)
        # The mark of a burial that outlived its letter would have the same payload answered with yes and kept nowhere.
        self._keep_dead_ms = int(min(window, settings.queue.keep_dead).total_seconds() * 1000)
        self._tagging = Tagging(settings)
        self._scratch = scratch
        self._together: dict[Callable[[], Any], Any] = {}

    def adapter(self, name: str, inbox: ChannelSettings, cursors: Cursors) -> ChannelAdapter:
        """The adapter of one inbox, with a pipeline of its own behind it."""
        channel = registry.load(inbox.type)
        events = InboxEvents(channel.name, name, self._metrics)
        pipeline = self._pipeline(channel, name, inbox, events)
        host = InboxHost(
            inbox=name,
            public_url=self._settings.http.public_url,
            intake=pipeline,
            events=events,
            scratch=self._scratch,
            together=self._together,
            cursor=cursors.of(name),
            owner=Owner(Path(self._settings.spool.dir) / "owners" / name),
            shared_port=self._shared_ports,
        )
        return channel.adapter(inbox, host)

    def pipeline(self, name: str, inbox: ChannelSettings) -> Pipeline[Any]:
        """The pipeline of one inbox, without an adapter in front of it. Raises LookupError."""
        channel = registry.load(inbox.type)
        return self._pipeline(channel, name, inbox, InboxEvents(channel.name, name, self._metrics))

    def _pipeline(
        self, channel: Channel[Any, Any], name: str, inbox: ChannelSettings, events: InboxEvents
    ) -> Pipeline[Any]:
        return Pipeline(
            channel,
            msgspec.structs.replace(
                self._tagging.inbox(name, channel.name, inbox), reply_to=channel.reply_to(inbox, name)
            ),
            directory=self._directory,
            publisher=self._publisher,
            dead_letters=DeadLetters(self._publisher, keep_ms=self._keep_dead_ms),
            objects=self._objects,
            normalizing=self._normalizing,
            events=events,
            keep_ms=self._keep_ms,
            clock=lambda: datetime.now(UTC),
        )
