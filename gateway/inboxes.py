"""From settings to inboxes: an adapter, the host it is handed, and the pipeline behind it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from channels import registry
from channels.api import ChannelAdapter, ChannelSettings, Intake, Refusal
from gateway.directory.lookup import Directory
from gateway.envelope import SCHEMA
from gateway.events import InboxEvents
from gateway.metrics import Metrics
from gateway.objects import Objects
from gateway.pipeline import Pipeline
from gateway.queue.dead_letters import DeadLetters
from gateway.queue.publisher import Publisher
from gateway.sealing import Inbox
from gateway.settings import Settings
from gateway.settings.policies import Policy
from gateway.tagging.sla import Promise
from gateway.tagging.tier import TierPolicy


@dataclass(frozen=True, kw_only=True)
class InboxHost:
    """The Host an adapter is handed."""

    inbox: str
    public_url: str
    intake: Intake[Any]
    events: InboxEvents

    def refused(self, why: Refusal, detail: str) -> None:
        """Log and count a sender turned away."""
        self.events.refused(why, detail)


class Inboxes:
    """What every inbox shares while the adapters are made."""

    def __init__(
        self, settings: Settings, *, directory: Directory, publisher: Publisher, objects: Objects, metrics: Metrics
    ) -> None:
        self._settings, self._directory = settings, directory
        self._publisher, self._objects, self._metrics = publisher, objects, metrics
        self._keep_ms = int(settings.queue.dedupe_window.total_seconds() * 1000)
        self._policy = TierPolicy(
            order=tuple(settings.tiers.order),
            default=settings.tiers.default,
            minimum_proof=settings.tiers.minimum_proof,
        )

        self._promises = tuple(_promise(number, policy) for number, policy in enumerate(settings.sla.policies, 1))

    def adapter(self, name: str, inbox: ChannelSettings) -> ChannelAdapter:
        """The adapter of one inbox, with a pipeline of its own behind it."""
        channel = registry.load(inbox.type)
        events = InboxEvents(channel.name, name, self._metrics)
        public_url = self._settings.http.public_url
        pipeline = Pipeline(
            channel,
            Inbox(
                name=name,
                channel=channel.name,
                brand=inbox.brand,
                dataschema=f"{public_url}/schemas/{SCHEMA}",
                policy=self._policy,
                promises=self._promises,
            ),
            directory=self._directory,
            publisher=self._publisher,
            dead_letters=DeadLetters(self._publisher, keep_ms=self._keep_ms),
            objects=self._objects,
            events=events,
            keep_ms=self._keep_ms,
            clock=lambda: datetime.now(UTC),
        )
        host = InboxHost(inbox=name, public_url=public_url, intake=pipeline, events=events)
        return channel.adapter(inbox, host)


def _promise(number: int, policy: Policy) -> Promise:
    when = policy.when.model_dump(exclude_none=True)
    return Promise(
        name=policy.name or f"policy-{number}",
        calendar=policy.calendar,
        conditions=tuple((field, tuple(patterns)) for field, patterns in when.items()),
        first_reply=policy.first_reply,
        callback=policy.callback,
    )
