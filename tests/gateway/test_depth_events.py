"""What was seen of the queue and the spool becomes gauges, and one log line where a bound is crossed."""

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.events import DepthEvents, QueueEvents, SpoolEvents
from gateway.metrics import Metrics
from gateway.queue.connection.deployment import deployment
from gateway.queue.depths import Depths, GroupDepth, StreamDepth
from gateway.queue.keys import Keys
from gateway.queue.spool.totals import SpooledTotal
from gateway.queue.watch import Watch

TIERS = ("premium", "free")
NOW = 1_000_000.0


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def events(metrics):
    return DepthEvents(metrics, tiers=TIERS, stream_bound=100, spool_max=5_000, clock=lambda: NOW)


def seen(*groups, entries=10, longest=None, unread=2.5):
    stream = StreamDepth(
        tier="premium",
        entries=entries,
        longest=entries if longest is None else longest,
        oldest_unread_seconds=unread,
        groups=tuple(
            GroupDepth(name=name, pending=pending, undelivered=None, exact=False, oldest_unread_seconds=None)
            for name, pending in groups
        ),
    )
    return Depths(
        streams=(stream,),
        dead_letters=3,
        oldest_dead_letter_seconds=1.0,
        seen_marks=44,
        memory_bytes=10,
        memory_max_bytes=100,
    )


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"gateway_{name}", labels)


def test_the_gauges(metrics, events):
    events.looked(seen(("core", 4), ("audit", 1)))
    assert value(metrics, "stream_entries", tier="premium") == 10
    assert value(metrics, "oldest_unread_seconds", tier="premium") == 2.5
    assert value(metrics, "pending_entries", tier="premium", group="core") == 4
    assert value(metrics, "consumer_groups", tier="premium") == 2
    assert value(metrics, "dead_letter_entries") == 3
    assert value(metrics, "seen_marks") == 44
    assert (value(metrics, "redis_memory_bytes"), value(metrics, "redis_memory_max_bytes")) == (10, 100)
    assert value(metrics, "depths_refreshed_timestamp_seconds") == NOW
    assert (value(metrics, "stream_bound_entries"), value(metrics, "spool_max_bytes")) == (100, 5_000)


def test_a_group_that_is_gone_has_nothing_pending(metrics, events):
    events.looked(seen(("core", 4), ("audit", 1)))
    events.looked(seen(("core", 5), unread=None))
    assert value(metrics, "pending_entries", tier="premium", group="audit") == 0
    assert value(metrics, "pending_entries", tier="premium", group="core") == 5
    assert value(metrics, "oldest_unread_seconds", tier="premium") == 0


def test_a_stream_over_its_bound_is_told_once(events):
    with capture_logs() as logs:
        for longest in (100, 101, 150, 99, 80, 101):
            events.looked(seen(entries=500, longest=longest))
    assert [(log["event"], log["log_level"], log["entries"]) for log in logs] == [
        ("stream.overgrown", "error", 101),
        ("stream.shrunk", "info", 99),
        ("stream.overgrown", "error", 101),
    ]
    assert {(log["tier"], log["bound"]) for log in logs} == {("premium", 100)}


def test_what_waits_in_the_spool(metrics, events):
    events.waiting(SpooledTotal(7, 900, NOW - 60))
    assert [value(metrics, f"spool_{what}") for what in ("entries", "bytes", "oldest_seconds")] == [7, 900, 60]
    events.waiting(SpooledTotal(0, 0, None))
    assert [value(metrics, f"spool_{what}") for what in ("entries", "bytes", "oldest_seconds")] == [0, 0, 0]


def test_what_was_trimmed_is_counted_by_kind(metrics, events):
    assert value(metrics, "trimmed_total", kind="free") == 0
    events.trimmed("premium", 5)
    events.trimmed("premium", 6)
    assert value(metrics, "trimmed_total", kind="premium") == 11


def test_the_link_is_a_gauge_too(metrics):
    events = QueueEvents(metrics)
    assert value(metrics, "queue_up") == 1
    events.link(False, "TimeoutError")
    assert value(metrics, "queue_up") == 0
    events.link(True, "")
    SpoolEvents(metrics).added(3)
    assert (value(metrics, "queue_up"), value(metrics, "spooled_total")) == (1, 3)


async def test_the_watch_looks_at_both(redis, valkey_url, tmp_path, metrics, events):
    await redis.xadd(Keys().stream("free"), {"n": 1})
    queue = deployment(valkey_url, timeout=5)
    watch = Watch(queue, (Keys(),), TIERS, tmp_path, on_depths=events.looked, on_spooled=events.waiting)
    await watch.look_at_queue()
    await watch.look_at_spool()
    await queue.close()
    assert value(metrics, "stream_entries", tier="free") == 1
    assert value(metrics, "spool_entries") == 0


async def test_the_spool_is_watched_while_redis_is_away(tmp_path, events):
    queue = deployment("redis://127.0.0.1:1", timeout=1)
    looked, said = asyncio.Event(), asyncio.Event()

    def state(what, well, why):
        events.duty(what, well, why)
        said.set()

    watch = Watch(
        queue,
        (Keys(),),
        TIERS,
        tmp_path,
        on_depths=events.looked,
        on_spooled=lambda total: looked.set(),
        on_state=state,
    )
    with capture_logs() as logs:
        running = asyncio.create_task(watch.run())
        async with asyncio.timeout(10):
            await looked.wait()
            await said.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    await queue.close()
    assert [(log["event"], log["duty"], log["error"]) for log in logs] == [
        ("duty.failed", "depths", "QueueUnavailable")
    ]


async def test_a_spool_that_cannot_be_read_is_said(tmp_path: Path, redis, valkey_url):
    (tmp_path / "spool-0.sqlite3").write_bytes(b"no database, " * 1_000)
    queue = deployment(valkey_url, timeout=5)
    watch = Watch(queue, (Keys(),), TIERS, tmp_path, on_depths=lambda depths: None, on_spooled=lambda total: None)
    with pytest.raises(sqlite3.Error):
        await watch.look_at_spool()
    await queue.close()
