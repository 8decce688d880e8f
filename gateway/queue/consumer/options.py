"""How a consumer reads; what every part of it is handed."""

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

TIERS: Mapping[str, int] = MappingProxyType({"premium": 16, "business": 8, "free": 4})


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(kw_only=True, eq=False)
class ConsumerOptions:
    """Times are in seconds. Raises ValueError for numbers that make no sense."""

    group: str = "core"
    name: str = field(default_factory=_own_name)
    """Unique among running consumers. One that stays the same over restarts finds what it left at once."""
    prefix: str = "tickets"
    """As `queue.prefix` of the gateway."""
    partitions: int = 1
    """As `queue.partitions` of the gateway."""
    tiers: Mapping[str, int] = field(default_factory=lambda: TIERS)
    """Most urgent first, with their weights: how many entries of each are read in one round."""
    concurrency: int = 8
    """How many conversations are handled at a time."""
    max_in_hand: int = 256
    """How many entries are held at most before no more are read; a round may exceed it by the weights' sum."""
    max_deliveries: int = 8
    """How often a handler is started on an entry before it is a dead letter."""
    claim_after: float = 60.0
    """When a silent reader counts as dead."""
    retry_after: float = 1.0
    """The wait after the first failure; it doubles with each."""
    retry_at_most: float = 60.0
    stop_within: float = 20.0
    """How long handlers under way may take to finish once the consumer stops."""
    timeout: float = 2.0
    """How long Redis may take to connect or to answer."""

    def __post_init__(self) -> None:
        least = {"partitions": 1, "concurrency": 1, "max_in_hand": 1, "max_deliveries": 1, "stop_within": 0}
        wrong = [name for name, bound in least.items() if getattr(self, name) < bound]
        wrong += [
            name for name in ("claim_after", "retry_after", "retry_at_most", "timeout") if getattr(self, name) <= 0
        ]
        wrong += [name for name in ("group", "name", "prefix", "tiers") if not getattr(self, name)]
        wrong += ["tiers"] * any(weight < 1 for weight in self.tiers.values())
        if wrong:
            raise ValueError(f"too small or empty: {', '.join(dict.fromkeys(wrong))}")
