"""Everything worth telling: one event, one log line, one metric and one tally, from one place."""

from collections.abc import Callable, Sequence
from time import time

import structlog

from channels.api import Refusal
from gateway.metrics import Metrics
from gateway.queue.dead_letters import DeadReason
from gateway.queue.depths import Depths
from gateway.queue.spool.totals import SpooledTotal
from gateway.queue.tally import field

Clock = Callable[[], float]


class InboxEvents:
    """The events of one inbox. Nothing a customer wrote or is called by goes through here."""

    def __init__(self, channel: str, inbox: str, metrics: Metrics) -> None:
        metrics.declare(channel)
        self._log = structlog.get_logger().bind(channel=channel, inbox=inbox)
        self._channel, self._metrics = channel, metrics
        self._accepted = metrics.messages.labels(channel, "accepted")
        self._duplicates = metrics.duplicates.labels(channel)
        self._unproven = metrics.unproven.labels(channel)
        self._count, self._duplicate = metrics.tally.add, field("duplicate", channel)
        self._tickets: dict[tuple[str, str], tuple[Callable[[], None], str, str]] = {}

    def accepted(
        self, *, reference: str, id: str, tier: str, status: str, duplicate: bool, unproven: bool = False
    ) -> None:
        """A message is on its stream."""
        self._accepted.inc()
        if duplicate:
            self._duplicates.inc()
            self._count(self._duplicate)
        else:
            increase, ticket, without_proof = self._tickets.get((tier, status)) or self._ticket(tier, status)
            increase()
            self._count(ticket)
            if unproven:
                self._unproven.inc()
                self._count(without_proof)
        self._log.info("message.accepted", reference=reference, tier=tier, status=status, duplicate=duplicate, id=id)

    def _ticket(self, tier: str, status: str) -> tuple[Callable[[], None], str, str]:
        """The counter and the fields of such tickets, made once: this is the path of every message."""
        channel = self._channel
        names = field("accepted", channel, tier, status), field("unproven", channel, tier)
        made = self._tickets[tier, status] = self._metrics.tickets.labels(channel, tier, status).inc, *names
        return made

    def rejected(self, reason: str, codes: list[str]) -> None:
        """The sender was told what to mend; `codes` are the fixed words of the problems."""
        self._metrics.messages.labels(self._channel, "rejected").inc()
        self._count(field("rejected", self._channel, reason))
        self._log.info("message.rejected", reason=reason, codes=codes)

    def buried(self, *, reason: DeadReason, id: str, error: str, published: bool = False) -> None:
        """A payload is a dead letter; `error` is type and place. `published`: what is certain of it is accepted too."""
        bug = reason == "error"
        if not published:
            self._metrics.messages.labels(self._channel, "accepted" if bug else "rejected").inc()
        self._metrics.dead_letters.labels(self._channel, reason).inc()
        self._count(field("dead", self._channel, reason))
        (self._log.error if bug else self._log.warning)("message.buried", reason=reason, id=id, error=error)

    def deferred(self, reason: str) -> None:
        """Nowhere to write: the sender was told to come again."""
        self._metrics.messages.labels(self._channel, "deferred").inc()
        self._count(field("deferred", self._channel))
        self._log.warning("message.deferred", reason=reason)

    def refused(self, why: Refusal, detail: str) -> None:
        """A sender turned away by the adapter."""
        self._metrics.refused.labels(self._channel, why.value).inc()
        self._count(field("refused", self._channel, why.value))
        self._log.info(f"message.{why.value}", detail=detail)


class QueueEvents:
    """The events of the link to Redis: once when it goes down, once when it is back."""

    def __init__(self, metrics: Metrics) -> None:
        self._log = structlog.get_logger()
        self._metrics = metrics
        metrics.queue_up.set(1)  # until the first write says otherwise

    def link(self, up: bool, why: str) -> None:
        """The link changed."""
        self._metrics.queue_up.set(up)
        if up:
            self._log.info("link.up", link="queue")
        else:
            self._log.error("link.down", link="queue", error=why)

    def batch(self, entries: int, seconds: float) -> None:
        """One script call came back."""
        self._metrics.publish_seconds.observe(seconds)
        self._metrics.batch_entries.observe(entries)

    def poisoned(self, why: str) -> None:
        """An entry that alone was refused again and again is a dead letter; `why` is the server's first word."""
        self._metrics.unpublishable.inc()
        self._metrics.tally.add(field("dead", "", "unpublishable"))  # of which channel, the spool does not know
        self._log.error("message.buried", reason="unpublishable", error=why)


class SpoolEvents:
    """The events of the spool: once when something waits there, once when nothing does any more."""

    def __init__(self, metrics: Metrics) -> None:
        self._log = structlog.get_logger()
        self._metrics = metrics

    def added(self, entries: int) -> None:
        """So many more entries wait."""
        self._metrics.spooled.inc(entries)
        self._metrics.tally.add(field("spooled"), entries)

    def told(self, event: str, entries: int) -> None:
        """spool.started, spool.drained, spool.damaged or spool.left."""
        if event == "spool.drained":
            self._log.info(event, last_batch=entries)
        else:
            self._log.error(event, entries=entries)


class DepthEvents:
    """How full the queue and the spool are, and what the background work on them did."""

    def __init__(
        self, metrics: Metrics, *, tiers: Sequence[str], stream_bound: int, spool_max: int, clock: Clock = time
    ) -> None:
        """`stream_bound` in entries, `spool_max` in bytes."""
        self._log = structlog.get_logger()
        self._metrics, self._gauges, self._bound, self._clock = metrics, metrics.depths, stream_bound, clock
        self._over: set[str] = set()
        self._pending: set[tuple[str, str]] = set()
        self._gauges.stream_bound.set(stream_bound)
        self._gauges.spool_max.set(spool_max)
        for kind in (*tiers, "dead", "seen"):
            metrics.trimmed.labels(kind)

    def looked(self, depths: Depths) -> None:
        """Redis was looked at."""
        gauges = self._gauges
        pending = {(stream.tier, group.name): group.pending for stream in depths.streams for group in stream.groups}
        for gone in self._pending - set(pending):
            gauges.pending.labels(*gone).set(0)
        self._pending |= set(pending)
        for group, entries in pending.items():
            gauges.pending.labels(*group).set(entries)
        for stream in depths.streams:
            gauges.stream_entries.labels(stream.tier).set(stream.entries)
            gauges.longest_stream.labels(stream.tier).set(stream.longest)
            gauges.oldest_unread.labels(stream.tier).set(stream.oldest_unread_seconds or 0)
            gauges.groups.labels(stream.tier).set(len(stream.groups))
            self._bounded(stream.tier, stream.longest)
        gauges.dead_letters.set(depths.dead_letters)
        gauges.seen_marks.set(depths.seen_marks)
        if depths.memory_bytes is not None:
            gauges.memory.set(depths.memory_bytes)
            gauges.memory_max.set(depths.memory_max_bytes or 0)
        gauges.refreshed.set(self._clock())

    def _bounded(self, tier: str, entries: int) -> None:
        over = entries > self._bound
        if over and tier not in self._over:
            self._over.add(tier)
            self._log.error("stream.overgrown", tier=tier, entries=entries, bound=self._bound)
        elif not over and tier in self._over:
            self._over.remove(tier)
            self._log.info("stream.shrunk", tier=tier, entries=entries, bound=self._bound)

    def waiting(self, spooled: SpooledTotal) -> None:
        """The spool was looked at."""
        self._gauges.spool_entries.set(spooled.entries)
        self._gauges.spool_bytes.set(spooled.bytes)
        oldest = spooled.oldest_at
        self._gauges.spool_oldest.set(0 if oldest is None else max(self._clock() - oldest, 0))

    def trimmed(self, kind: str, count: int) -> None:
        """Entries of a tier, dead letters or seen marks had had their time."""
        self._metrics.trimmed.labels(kind).inc(count)

    def duty(self, name: str, well: bool, why: str) -> None:
        """Background work began to fail, or works again."""
        if well:
            self._log.info("duty.resumed", duty=name)
        else:
            self._log.warning("duty.failed", duty=name, error=why)


class TallyEvents:
    """What became of the counts for the report."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()

    def state(self, well: bool, why: str) -> None:
        """They cannot be brought to Redis, or can again."""
        if well:
            self._log.info("duty.resumed", duty="tally")
        else:
            self._log.warning("duty.failed", duty="tally", error=why)

    def lost(self, counts: int) -> None:
        """The process ends with so many of them."""
        self._log.warning("tally.lost", counts=counts)


class DirectoryEvents:
    """The events of the directory's sources."""

    def __init__(self, metrics: Metrics, sources: Sequence[str]) -> None:
        self._log = structlog.get_logger()
        self._metrics = metrics
        for source in sources:
            metrics.directory_up.labels(source).set(1)  # until the first question says otherwise

    def looked_up(self, source: str, outcome: str, seconds: float) -> None:
        """A question left the process and was answered, or not."""
        self._metrics.lookup_seconds.labels(source, outcome).observe(seconds)

    def link(self, source: str, up: bool, why: str) -> None:
        """A source went away, or is back."""
        self._metrics.directory_up.labels(source).set(up)
        if up:
            self._log.info("link.up", link=source)
        else:
            self._log.error("link.down", link=source, error=why)

    def reloaded(self, source: str, addresses: int, notes: Sequence[str]) -> None:
        """A file that changed was read again."""
        self._metrics.directory_up.labels(source).set(1)
        self._log.info("directory.reloaded", source=source, addresses=addresses, notes=list(notes))

    def refused(self, source: str, faults: Sequence[str]) -> None:
        """A file that changed cannot be used: what was read before stays, and is outdated."""
        self._metrics.directory_up.labels(source).set(0)
        self._log.error("directory.refused", source=source, faults=list(faults))
