"""The queue: does it answer, take a write, keep it, and have room for more."""

from collections.abc import Iterator, Sequence

from gateway import parts
from gateway.doctor import Finding, failing, ok, warning
from gateway.queue import durability
from gateway.queue.connection.deployment import mask
from gateway.queue.connection.link import Link
from gateway.queue.depths import Depths, queue_depths
from gateway.queue.embedded.process import HOST
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from gateway.queue.publish_script import PublishScript
from gateway.reporting.sizes import size
from gateway.settings import Settings

_TIGHT, _FULL = 0.8, 0.95
"""Of the server's memory."""


async def check(settings: Settings) -> Sequence[Finding]:
    """Raises QueueUnavailable where nobody answers."""
    ours = settings.queue
    url = f"redis://{HOST}:{settings.embedded.port}" if ours.url == "embedded" else ours.url
    keys = partitions(ours.prefix, ours.partitions)
    async with parts.connected(settings, url) as queue:
        kept = await durability.check(queue, keys, wait_replicas=ours.wait_replicas, wait_fsync=ours.wait_fsync)
        found = [ok(f"{mask(url)} answers"), *kept]
        try:
            for part in keys:
                link = Link(queue, part.seen, timeout=ours.timeout.total_seconds())
                try:
                    await PublishScript(link, part, settings.tiers.order).probe()
                finally:
                    await link.close()
        except QueueUnavailable as error:
            remedy = (
                "make room, point queue.url to the primary, or give its user the rights: messages wait in the spool"
            )
            found.append(failing(f"it takes no write ({error})", remedy))
        depths = await queue_depths(queue, keys, settings.tiers.order)
    return [*found, *_memory(depths), *_streams(depths, ours.stream_bound)]


def _memory(depths: Depths) -> Iterator[Finding]:
    used, most = depths.memory_bytes, depths.memory_max_bytes
    if used is None or most is None:
        yield warning("the server does not tell how full its memory is", "watch it elsewhere, or allow INFO")
    elif not most:
        yield ok(f"{size(used)} of memory in use, without a limit of the server's own")
    elif used < _TIGHT * most:
        yield ok(f"{used / most:.0%} of its memory in use")
    else:
        grade = failing if used > _FULL * most else warning
        remedy = "let consumers acknowledge, raise maxmemory: a full server takes nothing"
        share = f"{used / most:.0%}" if used <= most else "more than all"
        yield grade(f"{share} of its memory in use: {size(used)} of {size(most)}", remedy)


def _streams(depths: Depths, bound: int) -> Iterator[Finding]:
    for stream in depths.streams:
        if stream.longest > bound:
            what = f"the stream of {stream.tier} has {stream.longest:,} entries, over queue.stream_bound"
            yield warning(what, "see with `stats` whether its consumers keep up")
        elif stream.entries and not stream.groups:
            what = f"nobody reads the stream of {stream.tier}: it has no consumer group, and is never trimmed"
            yield warning(what, "start the core system, which makes its group")
    if depths.dead_letters:
        yield warning(
            f"{depths.dead_letters:,} dead letters", "look at them with `dead-letters list`, then replay them"
        )
