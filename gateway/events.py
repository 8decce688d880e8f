"""Everything worth telling: one event, one log line and one metric, from one place."""

import structlog

from channels.api import Refusal
from gateway.metrics import Metrics
from gateway.queue.dead_letters import DeadReason


class InboxEvents:
    """The events of one inbox. Nothing a customer wrote or is called by goes through here."""

    def __init__(self, channel: str, inbox: str, metrics: Metrics) -> None:
        metrics.declare(channel)
        self._log = structlog.get_logger().bind(channel=channel, inbox=inbox)
        self._channel, self._metrics = channel, metrics
        self._accepted = metrics.messages.labels(channel, "accepted")
        self._duplicates = metrics.duplicates.labels(channel)

    def accepted(self, *, reference: str, id: str, tier: str, status: str, duplicate: bool) -> None:
        """A message is on its stream."""
        self._accepted.inc()
        if duplicate:
            self._duplicates.inc()
        self._log.info("message.accepted", reference=reference, tier=tier, status=status, duplicate=duplicate, id=id)

    def rejected(self, reason: str, codes: list[str]) -> None:
        """The sender was told what to mend; `codes` are the fixed words of the problems."""
        self._metrics.messages.labels(self._channel, "rejected").inc()
        self._log.info("message.rejected", reason=reason, codes=codes)

    def buried(self, *, reason: DeadReason, id: str, error: str) -> None:
        """A payload is a dead letter; `error` is type and place, never a value."""
        bug = reason == "error"
        self._metrics.messages.labels(self._channel, "accepted" if bug else "rejected").inc()
        self._metrics.dead_letters.labels(self._channel, reason).inc()
        (self._log.error if bug else self._log.warning)("message.buried", reason=reason, id=id, error=error)

    def deferred(self, reason: str) -> None:
        """Nowhere to write: the sender was told to come again."""
        self._metrics.messages.labels(self._channel, "deferred").inc()
        self._log.warning("message.deferred", reason=reason)

    def refused(self, why: Refusal, detail: str) -> None:
        """A sender turned away by the adapter."""
        self._metrics.refused.labels(self._channel, why.value).inc()
        self._log.info(f"message.{why.value}", detail=detail)


class QueueEvents:
    """The events of the link to Redis: once when it goes down, once when it is back."""

    def __init__(self, metrics: Metrics) -> None:
        self._log = structlog.get_logger()
        self._metrics = metrics

    def link(self, up: bool, why: str) -> None:
        """The link changed."""
        if up:
            self._log.info("link.up", link="queue")
        else:
            self._log.error("link.down", link="queue", error=why)

    def batch(self, entries: int, seconds: float) -> None:
        """One script call came back."""
        self._metrics.publish_seconds.observe(seconds)
        self._metrics.batch_entries.observe(entries)
