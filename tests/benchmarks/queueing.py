"""The publisher by itself: one script call per batch against one per entry, fsync always against every second."""

import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from time import perf_counter, process_time

import uvloop
from redis.asyncio import BlockingConnectionPool, Redis

from gateway.identity import digest16
from gateway.queue import publish_script
from gateway.queue.connection.deployment import deployment
from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from gateway.queue.entry import Entry
from gateway.queue.keys import DEAD, partitions
from gateway.queue.publisher import publishing
from gateway.queue.spool.spool import open_spool
from tests.support import free_port

PRODUCERS, SECONDS, ROUNDS, STARTS = 100, 1.5, 5, 9
TIERS = ("premium", "business", "free")
EVENT = b'{"text":"' + b"x" * 1000 + b'"}'
_numbers = count()

Publish = Callable[[Entry], Awaitable[object]]


def entry() -> Entry:
    """Another one, of a kilobyte."""
    n = next(_numbers)
    return Entry(
        stream=TIERS[n % 3],
        mark=digest16(str(n)),
        keep_ms=60_000,
        conversation=str(n % 1000),
        fields=("id", str(n), "type", "t", "channel", "c", "inbox", "i", "tier", TIERS[n % 3], "event", EVENT),
        size=len(EVENT),
    )


async def load(publish: Publish) -> tuple[float, float]:
    """Entries per second, and per CPU second of this process, while so many producers wait for each of theirs."""
    published, began, used = 0, perf_counter(), process_time()
    until = began + SECONDS

    async def produce() -> None:
        nonlocal published
        while perf_counter() < until:
            await publish(entry())
            published += 1

    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    return published / (perf_counter() - began), published / (process_time() - used)


def one_call_each(redis: Redis) -> Publish:
    """The same script, awaited for every entry: what one would write first."""
    (keys,) = partitions("each", 1)
    names = (keys.seen, keys.stats, *(keys.stream(stream) for stream in (*TIERS, DEAD)))
    script = redis.register_script(publish_script.SCRIPT)
    packable = publish_script.Packing(TIERS)

    async def publish(one: Entry) -> object:
        return await script(keys=names, args=[packable([one])])

    return publish


async def compare(folder: Path) -> list[str]:
    """Lines of the report."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ways: dict[str, Publish] = {}
        for fsync in ("everysec", "always"):
            options = EmbeddedOptions(folder / fsync, free_port(), fsync=fsync, max_memory=4 * 2**30)
            server = await enter(embedded(options))
            redis = deployment(server.url)
            stack.push_async_callback(redis.close)
            spool = await enter(open_spool(folder / f"spool-{fsync}"))
            publisher = await enter(publishing(redis, partitions("tickets", 1), TIERS, spool))
            ways[f"batches, fsync {fsync}"] = publisher.publish
            if fsync == "everysec":
                pool = BlockingConnectionPool.from_url(server.url, max_connections=PRODUCERS)
                ways["one call each, fsync everysec"] = one_call_each(await enter(Redis(connection_pool=pool)))
        nowhere = deployment(f"redis://127.0.0.1:{free_port()}")
        stack.push_async_callback(nowhere.close)
        spool = await enter(open_spool(folder / "spool"))
        away = await enter(publishing(nowhere, partitions("tickets", 1), TIERS, spool))
        ways["spool, Redis away"] = away.publish
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for turn in range(ROUNDS + 1):
            for name, publish in ways.items():
                measured = await load(publish)
                if turn:  # the first warms up
                    figures[name].append(measured)
    median = {name: tuple(map(statistics.median, zip(*rows, strict=True))) for name, rows in figures.items()}
    lines = [f"{name:<44} {rate:>9,.0f} {cpu:>12,.0f}" for name, (rate, cpu) in median.items()]
    batches, each = median["batches, fsync everysec"], median["one call each, fsync everysec"]
    lines.append(f"\nper CPU second: batches / one call each      {batches[1] / each[1]:.2f}   goal 2.2")
    lines.append(
        f"per second:     fsync always / everysec      {median['batches, fsync always'][0] / batches[0]:.2f}   goal 0.6"
    )
    return lines


async def start(folder: Path) -> float:
    """Milliseconds until an embedded server takes its first write."""
    began = perf_counter()
    async with embedded(EmbeddedOptions(folder, free_port())) as server:
        async with Redis.from_url(server.url) as redis:
            await redis.set("ready", 1)
        return (perf_counter() - began) * 1000


def main() -> None:
    """Print it."""
    with tempfile.TemporaryDirectory() as name, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(
            f"\n{PRODUCERS} producers of 1 KB, {ROUNDS} rounds in turn of {SECONDS:g} s each, medians of this process"
        )
        print(f"{'':<44} {'per s':>9} {'per CPU s':>12}")
        print("\n".join(runner.run(compare(Path(name)))))
        starts = [runner.run(start(Path(name, str(n)))) for n in range(STARTS)]
        print(f"embedded server ready after                  {statistics.median(starts):.0f} ms   goal 100")


if __name__ == "__main__":
    main()
