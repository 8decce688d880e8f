"""Prometheus metrics. Labels are configured names and fixed words, never a customer's data."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from channels.api import Refusal


class Metrics:
    """One registry per gateway, so that two in one process do not share numbers."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.messages = Counter(
            "gateway_messages", "Messages by what became of them", ["channel", "outcome"], registry=registry
        )
        self.duplicates = Counter(
            "gateway_duplicates", "Messages that were published before", ["channel"], registry=registry
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

    def declare(self, channel: str) -> None:
        """Show a channel's counters from the start: a missing series and a zero are different alarms."""
        for outcome in ("accepted", "rejected", "deferred"):
            self.messages.labels(channel, outcome)
        for reason in Refusal:
            self.refused.labels(channel, reason.value)
        for why in ("malformed", "error"):
            self.dead_letters.labels(channel, why)
        self.duplicates.labels(channel)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
