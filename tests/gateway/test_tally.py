"""What was counted reaches the hour it was counted in, once, whatever becomes of Redis meanwhile."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError
from structlog.testing import capture_logs

from channels.api import Refusal
from gateway import parts
from gateway.events import InboxEvents, QueueEvents, SpoolEvents, TallyEvents
from gateway.metrics import Metrics
from gateway.queue import recurring
from gateway.queue.connection.deployment import Deployment, deployment
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys
from gateway.queue.tally import Flushing, Tally, flushing, hour_of, read
from gateway.settings import Settings
from gateway.settings.sections import Queue
from tests.gateway.proxy import proxy
from tests.gateway.servers import HOST, Servers, binaries
from tests.support import free_port, until

KEYS = Keys()
EIGHT = datetime(2026, 11, 23, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DOCUMENT = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
USER, *RULES = re.findall(r"^ACL SETUSER (.+)$", DOCUMENT, re.MULTILINE)[0].split()
BINARIES = binaries()


class Clock:
    def __init__(self) -> None:
        self.now = EIGHT + timedelta(minutes=20)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tally():
    return Tally()


@asynccontextmanager
async def connected(url: str, timeout: float = 5.0) -> AsyncIterator[Deployment]:
    made = deployment(url, timeout=timeout)
    yield made
    await made.close()


@pytest.fixture
async def queue(valkey_url: str, redis: Redis) -> AsyncIterator[Deployment]:
    async with connected(valkey_url) as made:
        yield made


class Flaky:
    """A deployment that is away while it is told to be."""

    def __init__(self, to: Deployment) -> None:
        self.to, self.away = to, False

    async def server(self, key: str) -> Redis:
        if self.away:
            raise QueueUnavailable("away")
        return await self.to.server(key)

    async def moved(self) -> None:
        await self.to.moved()

    async def close(self) -> None:
        await self.to.close()


def flush_of(tally, queue, clock, keys=KEYS, keep=timedelta(days=35)):
    return Flushing(tally, queue, keys, keep=keep, clock=clock)


async def counted(queue: Deployment, hour: datetime = EIGHT, keys: Keys = KEYS) -> dict[str, int]:
    (counts,) = (await read(queue, keys, [hour])).hours
    return {field: count for field, count in counts.items() if not field.startswith("flush|")}


async def test_counts_are_added_to_their_hour_and_forgotten_in_time(redis, queue, tally, clock):
    flush = flush_of(tally, queue, clock)
    tally.add("a")
    tally.add("a")
    tally.add("b", 5)
    await flush.flush()
    tally.add("a")
    await flush.flush()
    await flush.flush()
    assert await counted(queue) == {"a": 3, "b": 5}
    left = await redis.pttl("{tickets}:stats:2026112308")
    assert timedelta(days=35) < timedelta(milliseconds=left) <= timedelta(days=35) + HOUR


async def test_several_processes_and_partitions_count_in_one_place(redis, queue, clock):
    first = Keys(prefix="tickets:0")
    for by in (3, 4):
        tally = Tally()
        tally.add("a", by)
        await flush_of(tally, queue, clock, first).flush()
    assert await counted(queue, keys=first) == {"a": 7}
    assert await redis.keys("*") != []
    assert all(key.startswith(b"{tickets:0}:stats") for key in await redis.keys("*"))


async def test_nothing_counted_writes_nothing(redis, queue, tally, clock):
    await flush_of(tally, queue, clock).flush()
    assert await redis.keys("*") == []
    assert await read(queue, KEYS, [EIGHT]) == await read(queue, KEYS, [EIGHT + HOUR])


async def test_while_redis_is_away_each_count_keeps_its_hour(queue, tally, clock):
    flaky = Flaky(queue)
    flush = flush_of(tally, flaky, clock)
    flaky.away = True
    for hour in range(3):
        clock.now = EIGHT + hour * HOUR
        for _ in range(2):
            tally.add("a", hour + 1)
            with pytest.raises(QueueUnavailable):
                await flush.flush()
    assert flush.waiting == 12
    flaky.away = False
    await flush.flush()
    assert [await counted(queue, EIGHT + hour * HOUR) for hour in range(3)] == [{"a": 2}, {"a": 4}, {"a": 6}]
    assert flush.waiting == 0


async def test_what_is_older_than_redis_would_keep_is_not_kept_here(queue, tally, clock):
    flaky = Flaky(queue)
    flush = flush_of(tally, flaky, clock, keep=2 * HOUR)
    flaky.away = True
    for hour in range(50):
        clock.now = EIGHT + hour * HOUR
        tally.add("a")
        with pytest.raises(QueueUnavailable):
            await flush.flush()
    assert flush.waiting <= 4  # three hours, and the one that was sent first


async def test_a_flush_whose_answer_was_lost_counts_once(redis, queue, tally, clock):
    port = redis.connection_pool.connection_kwargs["port"]
    async with proxy(port) as between, connected(between.url) as through:
        flush = flush_of(tally, through, clock)
        tally.add("a", 3)
        await flush.flush()  # the script is known, the connection open
        tally.add("a", 5)
        between.answers = lambda answer: None
        with pytest.raises((RedisError, OSError)):
            await flush.flush()
        assert await counted(queue) == {"a": 8}, "it was written all the same"
        tally.add("a", 100)
        between.answers = bytes
        await flush.flush()
    assert await counted(queue) == {"a": 108}


async def test_a_flush_that_never_arrived_is_sent_again(redis, queue, tally, clock):
    port = redis.connection_pool.connection_kwargs["port"]
    async with proxy(port) as between, connected(between.url, timeout=0.2) as through:
        flush = flush_of(tally, through, clock)
        between.hole = True
        tally.add("a", 3)
        with pytest.raises((RedisError, OSError)):
            await flush.flush()
        assert flush.waiting == 3
        between.hole = False
        await flush.flush()
    assert await counted(queue) == {"a": 3}


async def test_the_first_hour_that_was_counted_is_remembered(queue, tally, clock):
    assert (await read(queue, KEYS, [])).since is None
    for hour in (5, 2, 9):
        clock.now = EIGHT + hour * HOUR
        tally.add("a")
        await flush_of(tally, queue, clock).flush()
    assert (await read(queue, KEYS, [])).since == EIGHT + 2 * HOUR


async def test_a_stop_brings_the_last_counts(queue, tally, clock):
    states: list[tuple[bool, str]] = []
    lost: list[int] = []
    flush = flush_of(tally, queue, clock)
    async with flushing(flush, every=3600, within=5, on_state=lambda *state: states.append(state), on_lost=lost.append):
        tally.add("a")
    assert await counted(queue) == {"a": 1}
    assert (states, lost) == ([], [])


async def test_a_stop_while_redis_is_away_says_what_is_lost(tally, clock):
    events = TallyEvents()
    async with connected(f"redis://127.0.0.1:{free_port()}") as nobody:
        with capture_logs() as logs:
            async with flushing(
                flush_of(tally, nobody, clock), every=3600, within=5, on_state=events.state, on_lost=events.lost
            ):
                tally.add("a", 7)
    assert [(log["event"], log["counts"]) for log in logs if log["event"] == "tally.lost"] == [("tally.lost", 7)]


async def test_it_goes_on_counting_after_every_failure(queue, tally, clock, monkeypatch):
    monkeypatch.setattr(recurring, "SHORTEST", 0.001)
    events, flaky = TallyEvents(), Flaky(queue)
    flaky.away = True
    tally.add("a")
    with capture_logs() as logs:
        async with flushing(
            flush_of(tally, flaky, clock), every=0.001, within=5, on_state=events.state, on_lost=events.lost
        ):
            await until(lambda: bool(logs))
            flaky.away = False
            await until(lambda: len(logs) == 2)
            tally.add("a")
    assert [(log["event"], log["duty"]) for log in logs] == [("duty.failed", "tally"), ("duty.resumed", "tally")]
    assert await counted(queue) == {"a": 2}


async def test_a_bug_in_counting_is_said_and_stops_nothing(tally, queue):
    states: list[tuple[bool, str]] = []
    lost: list[int] = []
    broken = flush_of(tally, queue, lambda: None)
    async with flushing(
        broken, every=0.001, within=5, on_state=lambda *state: states.append(state), on_lost=lost.append
    ):
        await until(lambda: bool(states))
    assert states == [(False, "AttributeError")]
    assert len(lost) == 1


async def test_every_event_is_counted(valkey_url, redis, queue):
    metrics = Metrics()
    settings = Settings(queue=Queue(url=valkey_url))
    async with parts.tallying(settings, queue, metrics):
        events = InboxEvents("toy", "notes", metrics)
        for status in ("known", "known", "stale"):
            events.accepted(
                reference="T-1", id="1", tier="premium", status=status, duplicate=False, unproven=status == "stale"
            )
        events.accepted(reference="T-1", id="1", tier="premium", status="stale", duplicate=True, unproven=True)
        events.rejected("incomplete", ["required"])
        events.buried(reason="malformed", id="1", error="Malformed")
        events.deferred("OSError")
        for _ in range(2):
            events.refused(Refusal.FORGED, "")
        QueueEvents(metrics).poisoned("WRONGTYPE")
        SpoolEvents(metrics).added(3)
    found: dict[str, int] = {}
    for hour in (hour_of(datetime.now(UTC)) - HOUR, hour_of(datetime.now(UTC))):  # the hour may have ended meanwhile
        found |= await counted(queue, hour)
    assert found == {
        "accepted|toy|premium|known": 2,
        "accepted|toy|premium|stale": 1,
        "unproven|toy|premium": 1,
        "duplicate|toy": 1,
        "rejected|toy|incomplete": 1,
        "dead|toy|malformed": 1,
        "dead||unpublishable": 1,
        "deferred|toy": 1,
        "refused|toy|forged": 2,
        "spooled": 3,
    }
    sample = metrics.registry.get_sample_value
    assert sample("gateway_tickets_total", {"channel": "toy", "tier": "premium", "status": "known"}) == 2
    assert sample("gateway_unproven_total", {"channel": "toy"}) == 1
    assert sample("gateway_messages_total", {"channel": "toy", "outcome": "accepted"}) == 4


@pytest.fixture(scope="module", params=BINARIES)
def server(request, tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp("servers"), BINARIES[request.param])
    yield servers.single()
    servers.stop()


async def test_a_full_server_counts_later(server, tally, clock):
    server.do("FLUSHALL")
    async with connected(server.url) as full:
        flush = flush_of(tally, full, clock)
        tally.add("a")
        server.do("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(ResponseError):
            await flush.flush()
        server.do("CONFIG", "SET", "maxmemory", 0)
        await flush.flush()
        await flush.flush()
        assert await counted(full) == {"a": 1}


async def test_the_documents_user_has_the_rights_it_needs(server, tally, clock):
    server.do("FLUSHALL")
    server.do("ACL", "SETUSER", USER, "reset", *RULES)
    async with connected(f"redis://{USER}:PASSWORD@{HOST}:{server.port}") as queue:
        tally.add("a")
        await flush_of(tally, queue, clock).flush()
        assert await counted(queue) == {"a": 1}


async def test_a_report_of_nobody_says_so():
    async with connected(f"redis://127.0.0.1:{free_port()}") as nobody:
        with pytest.raises(QueueUnavailable) as told:
            await read(nobody, KEYS, [EIGHT])
    assert isinstance(told.value.__cause__, Disconnected)
