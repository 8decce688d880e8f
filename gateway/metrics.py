"""Prometheus metrics. Labels are configured names and fixed words, never a customer's data."""

import os
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess, values

from channels.api import Refusal
from gateway.queue.tally import Tally

_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name for it


class DepthGauges:
    """How full the queue and the spool are. One process of a machine looks, so the newest look counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str, labels: Sequence[str] = ()) -> Gauge:
            return Gauge(f"gateway_{name}", about, labels, registry=registry, multiprocess_mode="livemostrecent")

        self.stream_entries = gauge("stream_entries", "Entries on the streams of a tier", ["tier"])
        self.longest_stream = gauge("longest_stream_entries", "Entries on the longest stream of a tier", ["tier"])
        self.stream_bound = gauge("stream_bound_entries", "Entries on one stream over which somebody must look")
        self.pending = gauge("pending_entries", "Entries given to a group and not acknowledged", ["tier", "group"])
        self.oldest_unread = gauge(
            "oldest_unread_seconds", "Age of the oldest entry that not every group has acknowledged", ["tier"]
        )
        self.groups = gauge("consumer_groups", "Consumer groups that read a tier", ["tier"])
        self.dead_letters = gauge("dead_letter_entries", "Dead letters that are kept")
        self.seen_marks = gauge("seen_marks", "Messages that would be known again")
        self.memory = gauge("redis_memory_bytes", "Memory that the fullest Redis uses")
        self.memory_max = gauge("redis_memory_max_bytes", "Memory it may use; 0 is no limit")
        self.refreshed = gauge("depths_refreshed_timestamp_seconds", "When the queue was looked at last")
        self.spool_entries = gauge("spool_entries", "Entries that wait in the spool")
        self.spool_bytes = gauge("spool_bytes", "Room that they take on disk")
        self.spool_max = gauge("spool_max_bytes", "Room that they may take on disk")
        self.spool_oldest = gauge("spool_oldest_seconds", "How long the oldest of them has waited")


class Metrics:
    """One registry per gateway, so that two in one process do not share numbers."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.tally = Tally()
        """The same events once more, on Redis by the hour."""
        self.messages = Counter(
            "gateway_messages", "Messages by what became of them", ["channel", "outcome"], registry=registry
        )
        self.duplicates = Counter(
            "gateway_duplicates", "Messages that were published before", ["channel"], registry=registry
        )
        self.tickets = Counter(
            "gateway_tickets",
            "Messages that were not published before, by what their tier rests on",
            ["channel", "tier", "status"],
            registry=registry,
        )
        self.unproven = Counter(
            "gateway_unproven", "Those above the default tier without a proof", ["channel"], registry=registry
        )
        self.refused = Counter(
            "gateway_refused",
            "Senders turned away before anything became a message",
            ["channel", "reason"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "gateway_dead_letters", "Payloads kept as dead letters", ["channel", "reason"], registry=registry
        )
        self.publish_seconds = Histogram(
            "gateway_publish_seconds",
            "Round trip of one batch to Redis",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
            registry=registry,
        )
        self.batch_entries = Histogram(
            "gateway_batch_entries",
            "Entries published by one script call",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=registry,
        )
        self.queue_up = Gauge(
            "gateway_queue_up",
            "Whether Redis took what it was last given",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.spooled = Counter("gateway_spooled", "Entries that had to wait in the spool", registry=registry)
        self.trimmed = Counter("gateway_trimmed", "What had had its time and was deleted", ["kind"], registry=registry)
        self.depths = DepthGauges(registry)
        self.lookup_seconds = Histogram(
            "gateway_lookup_seconds",
            "Questions that left the process to hear who is asking",
            ["source", "outcome"],
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
            registry=registry,
        )
        self.directory_up = Gauge(
            "gateway_directory_up",
            "Whether a source of the directory answers",
            ["source"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.unpublishable = Counter(
            "gateway_unpublishable", "Spooled entries that became dead letters", registry=registry
        )

    def declare(self, channel: str) -> None:
        """Show a channel's counters from the start: a missing series and a zero are different alarms."""
        for outcome in ("accepted", "rejected", "deferred"):
            self.messages.labels(channel, outcome)
        for reason in Refusal:
            self.refused.labels(channel, reason.value)
        for why in ("malformed", "error"):
            self.dead_letters.labels(channel, why)
        self.duplicates.labels(channel)
        self.unproven.labels(channel)

    def render(self) -> bytes:
        """The Prometheus text format; of a worker, the sum of all of them."""
        registry = self.registry
        if directory := os.environ.get(_SHARED):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]  # the library says no types here
        return generate_latest(registry)


def share(directory: Path, worker: int) -> None:
    """Keep the numbers of all Metrics made from now on in files that the other workers read.

    They go by the worker and not by its process: one that is started again counts on from where it was.
    """
    os.environ[_SHARED] = str(directory)
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]  # the library says no types here


def forget(directory: Path, worker: int) -> None:
    """Drop what a dead worker measured (`live…` gauges); what it counted stays."""
    multiprocess.mark_process_dead(worker, str(directory))  # type: ignore[no-untyped-call]  # the library says no types here
