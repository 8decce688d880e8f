"""A server under test, the load on it, and what its rounds gave."""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import uvloop

from tests.benchmarks.load import Http, Smtp, drive
from tests.support import wait_for_port

WARM_UP = 0.7
TICKS = os.sysconf("SC_CLK_TCK")
Client = Callable[[float, list[float]], Http | Smtp]


@dataclass
class Contender:
    """One process that listens, and how to load it. Figures are lists of one per round, so that rounds pair up."""

    name: str
    port: int
    connections: int
    pid: int
    client: Client
    per_cpu_second: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Load it once; a round with a failed answer is an error, not a figure."""
        latencies: list[float] = []
        used, began = cpu_seconds(self.pid), perf_counter()

        async def main() -> None:
            until = perf_counter() + seconds
            await drive(self.port, self.connections, lambda: self.client(until, latencies), within=seconds + 10)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
        elapsed, used = perf_counter() - began, cpu_seconds(self.pid) - used
        latencies.sort()
        self.per_second.append(len(latencies) / elapsed)
        self.per_cpu_second.append(len(latencies) / used)
        self.p50.append(latencies[len(latencies) // 2] * 1000)
        self.p99.append(latencies[len(latencies) * 99 // 100] * 1000)

    def forget(self) -> None:
        """Throw away what the rounds gave so far."""
        for figures in (self.per_cpu_second, self.per_second, self.p50, self.p99):
            figures.clear()

    def __str__(self) -> str:
        rate, cpu, p50, p99 = map(statistics.median, (self.per_second, self.per_cpu_second, self.p50, self.p99))
        return f"{self.name:<44} {rate:>9,.0f} {cpu:>12,.0f} {1e6 / cpu:>9.1f} {p50:>9.2f} {p99:>9.2f}"


HEADING = f"{'':<44} {'per s':>9} {'per CPU s':>12} {'CPU us':>9} {'p50 ms':>9} {'p99 ms':>9}"


def measure(contenders: Sequence[Contender], rounds: int, seconds: float) -> None:
    """Alternate the rounds, so that a slow spell of the machine hits everybody; the warm-up is thrown away."""
    for contender in contenders:
        contender.round(WARM_UP)
        contender.forget()
    for _ in range(rounds):
        for contender in contenders:
            contender.round(seconds)


def ratio(one: Contender, other: Contender) -> str:
    """Per CPU second, pair by pair; beside the median what the middle half of the rounds gave."""
    pairs = sorted(a / b for a, b in zip(one.per_cpu_second, other.per_cpu_second, strict=True))
    quarter = len(pairs) // 4
    return (
        f"{statistics.median(pairs):.2f} (middle half of the rounds {pairs[quarter]:.2f} to {pairs[-1 - quarter]:.2f})"
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all its threads and those it had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def python(*arguments: str, port: int) -> AbstractContextManager[int]:
    """A Python process of ours, as `server`."""
    return server(sys.executable, *arguments, port=port)


@contextmanager
def server(*command: str, port: int) -> Iterator[int]:
    """A process pinned to the first core; yields its pid once it listens."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=lambda: os.sched_setaffinity(0, {0}))
        try:
            wait_for_port(port, process)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)
