"""Against a real server, as a core would: what is handled, in which order, and what becomes of the rest."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from redis.asyncio import Redis

from gateway.queue.consumer import Consumer, Defer, Delivery
from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from tests.gateway.servers import HOST, MASTER, eventually, migrate
from tests.support import free_port, until

PREMIUM, BUSINESS, FREE, DEAD = (f"{{tickets}}:{name}" for name in ("premium", "business", "free", "dead"))
STREAMS = (PREMIUM, BUSINESS, FREE)
LONG = 600.0


def event(id: str, subject: str) -> str:
    data = {"received_at": "2026-11-22T05:00:00.123Z", "text": "결제 오류"}
    return json.dumps({"specversion": "1.0", "id": id, "source": "/channels/notes", "subject": subject, "data": data})


async def publish(redis, id, *, stream=PREMIUM, subject=None, **fields):
    return await redis.xadd(
        stream, {"id": id, "channel": "toy", "inbox": "notes", "event": event(id, subject or id), **fields}
    )


class Core:
    """A core that remembers what it was handed, and does as `does` says."""

    def __init__(self, does: Callable[[Delivery], Awaitable[object]] | None = None) -> None:
        self.deliveries: list[Delivery] = []
        self._does = does

    async def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self._does is not None:
            await self._does(delivery)

    @property
    def ids(self):
        return [delivery.id for delivery in self.deliveries]


async def pending(redis, stream=PREMIUM):
    return await redis.xpending_range(stream, "core", "-", "+", 1000)


async def settled(redis, *streams):
    """Everything delivered and acknowledged."""
    for stream in streams or STREAMS:
        groups = await redis.xinfo_groups(stream) if await redis.exists(stream) else []
        last = (await redis.xinfo_stream(stream))["last-generated-id"] if groups else None
        if not groups or any(group["pending"] or group["last-delivered-id"] != last for group in groups):
            return False
    return True


async def readers(redis, stream=FREE):
    """The names of the consumers of a stream."""
    if not await redis.exists(stream):
        return set()
    return {consumer["name"].decode() for consumer in await redis.xinfo_consumers(stream, "core")}


async def _somebody_reads(redis):
    return bool(await readers(redis))


async def fail(delivery):
    raise ValueError("the card of 김민수 was refused")


@pytest.fixture
def consumer(valkey_url):
    """A consumer of the session's server that never waits long for itself."""

    def make(core, **options):
        return Consumer(valkey_url, core, **{"claim_after": LONG, "retry_after": 0.01, "timeout": 0.5, **options})

    return make


async def join(redis, stream=PREMIUM, name="ghost", count=100):
    """Read as somebody who then dies."""
    await redis.xgroup_create(stream, "core", "0", mkstream=True)
    answer = await redis.xreadgroup("core", name, {stream: ">"}, count=count)
    return [entry_id for entry_id, _ in answer[0][1]]


async def test_what_was_there_before_and_what_comes_is_handed_over_and_acknowledged(consumer, redis):
    await publish(redis, "1")
    core = Core()
    async with consumer(core):
        await until(lambda: core.ids == ["1"])
        await publish(redis, "2", stream=FREE)
        await until(lambda: core.ids == ["1", "2"])
        await until(lambda: settled(redis))
    first, second = core.deliveries
    assert (first.tier, second.tier, first.attempt) == ("premium", "free", 1)
    assert first.envelope["data"]["text"] == "결제 오류"
    assert json.loads(first.event) == first.envelope


async def test_who_leaves_with_nothing_pending_leaves_no_trace(consumer, redis):
    async with consumer(Core(), name="worker-1"):
        await until(lambda: _somebody_reads(redis))
        assert await readers(redis) == {"worker-1"}
    assert [await readers(redis, stream) for stream in STREAMS] == [set(), set(), set()]


async def test_two_that_start_at_once_share_the_work(consumer, redis):
    for number in range(200):
        await publish(redis, str(number), stream=STREAMS[number % 3])
    cores = Core(), Core()
    async with consumer(cores[0]), consumer(cores[1]):
        await until(lambda: sum(len(core.ids) for core in cores) >= 200)
        await until(lambda: settled(redis))
    assert sorted(cores[0].ids + cores[1].ids) == sorted(str(number) for number in range(200))


async def test_the_tiers_are_weighted_and_nobody_starves(consumer, redis):
    for number in range(40):
        for stream in STREAMS:
            await publish(redis, f"{stream}{number}", stream=stream)
    core = Core()
    async with consumer(core, concurrency=1):
        await until(lambda: len(core.ids) == 120)
    tiers = [delivery.tier for delivery in core.deliveries]
    assert tiers[:28] == ["premium"] * 16 + ["business"] * 8 + ["free"] * 4
    assert tiers[28:56] == tiers[:28]


async def test_no_more_is_read_than_is_worked_on(consumer, redis):
    for number in range(100):
        await publish(redis, str(number))
    go = asyncio.Event()
    core = Core(lambda delivery: go.wait())
    async with consumer(core, concurrency=2):
        await until(lambda: len(core.ids) == 2)
        assert len(await pending(redis)) == 16
        go.set()
        await until(lambda: len(core.ids) == 100)


async def test_a_conversation_keeps_its_order_and_holds_up_nobody_else(consumer, redis):
    for number in range(5):
        await publish(redis, f"a{number}", subject="a")
        await publish(redis, f"b{number}", subject="b")
    fixed = asyncio.Event()

    async def first_fails(delivery):
        if delivery.id == "a0" and not fixed.is_set():
            raise ValueError

    core = Core(first_fails)
    async with consumer(core, concurrency=1, max_deliveries=10_000):
        await until(lambda: "b4" in core.ids)
        assert not {"a1", "a2", "a3", "a4"} & set(core.ids)
        fixed.set()
        await until(lambda: "a4" in core.ids)
    assert [id for id in dict.fromkeys(core.ids) if id[0] == "a"] == ["a0", "a1", "a2", "a3", "a4"]
    assert [id for id in core.ids if id[0] == "b"] == ["b0", "b1", "b2", "b3", "b4"]


async def test_conversations_are_handled_side_by_side(consumer, redis):
    both = asyncio.Barrier(2)
    core = Core(lambda delivery: both.wait())
    await publish(redis, "a")
    await publish(redis, "b")
    async with consumer(core, concurrency=2):
        await until(lambda: settled(redis, PREMIUM))
    assert sorted(core.ids) == ["a", "b"]


async def test_a_failure_comes_again_and_redis_counts_it(consumer, redis):
    await publish(redis, "1")
    counted = []

    async def third_works(delivery):
        counted.append((await pending(redis))[0]["times_delivered"])
        if delivery.attempt < 3:
            raise ValueError

    core = Core(third_works)
    async with consumer(core):
        await until(lambda: len(core.ids) == 3)
        await until(lambda: settled(redis, PREMIUM))
    assert [delivery.attempt for delivery in core.deliveries] == counted == [1, 2, 3]
    assert await redis.xlen(DEAD) == 0


async def test_poison_is_one_dead_letter_that_quotes_nobody(consumer, redis, caplog):
    await publish(redis, "1")
    core = Core(fail)
    async with consumer(core, max_deliveries=3):
        await until(lambda: settled(redis, PREMIUM))
    ((_, letter),) = await redis.xrange(DEAD)
    assert letter.pop(b"error").startswith(b"ValueError at test_consumer.py:")
    assert letter == {
        b"id": b"1",
        b"channel": b"toy",
        b"inbox": b"notes",
        b"reason": b"poison",
        b"payload": event("1", "1").encode(),
        b"received_at": b"2026-11-22T05:00:00.123Z",
        b"attempts": b"3",
    }
    assert len(core.ids) == 3
    assert "message.buried" in caplog.text
    assert "김민수" not in caplog.text


async def test_what_is_deferred_is_tried_for_ever_and_counts_as_once(consumer, redis):
    await publish(redis, "1")

    async def away_for_a_while(delivery):
        if len(core.ids) < 20:
            raise Defer from OSError()

    core = Core(away_for_a_while)
    async with consumer(core, max_deliveries=2, retry_at_most=0.02):
        await until(lambda: len(core.ids) == 20)
        await until(lambda: settled(redis, PREMIUM))
    assert {delivery.attempt for delivery in core.deliveries} == {1}
    assert await redis.xlen(DEAD) == 0


async def test_a_handler_that_is_not_async_ends_the_consumer_before_it_harms(consumer, redis):
    await publish(redis, "1")
    with pytest.raises(TypeError, match="must be async"):
        await consumer(lambda delivery: None).run()
    assert len(await pending(redis)) == 1


async def test_a_handler_that_cancels_itself_has_failed(consumer, redis):
    async def cancel(delivery):
        raise asyncio.CancelledError

    await publish(redis, "1")
    async with consumer(Core(cancel), max_deliveries=2):
        await until(lambda: redis.xlen(DEAD))
    assert (await redis.xrange(DEAD))[0][1][b"error"].startswith(b"CancelledError at ")


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff", b'{"id": 5}', b'{"id": ""}', b"[" * 100_000])
async def test_what_is_no_event_is_poison_at_once(consumer, redis, broken):
    await redis.xadd(PREMIUM, {"id": "1", "channel": "toy", "inbox": "notes", "event": broken})
    core = Core()
    async with consumer(core):
        await until(lambda: redis.xlen(DEAD))
        await until(lambda: settled(redis, PREMIUM))
    ((_, letter),) = await redis.xrange(DEAD)
    assert (letter[b"id"], letter[b"attempts"], letter[b"error"]) == (b"1", b"1", b"NoCloudEvent")
    assert letter[b"payload"] == (broken or b'{"id":"1","channel":"toy","inbox":"notes","event":""}')
    assert core.ids == []


async def test_what_cannot_be_buried_is_kept_and_nothing_else_waits_for_it(consumer, redis):
    async def one_fails(delivery):
        if delivery.id == "1":
            raise ValueError

    await redis.set(DEAD, "in the way")
    await publish(redis, "1")
    await publish(redis, "2")
    core = Core(one_fails)
    async with consumer(core, max_deliveries=1):
        await until(lambda: len(core.ids) == 2)
        await publish(redis, "3")
        await until(lambda: "3" in core.ids)
        await until(lambda: _pending_alone(redis))
        await redis.delete(DEAD)
        await until(lambda: settled(redis, PREMIUM))
    assert [letter[b"id"] for _, letter in await redis.xrange(DEAD)] == [b"1"]


async def _pending_alone(redis):
    return len(await pending(redis)) == 1


async def test_acknowledgements_go_out_together(consumer, redis):
    for number in range(160):
        await publish(redis, str(number))
    await redis.config_resetstat()
    core = Core()
    async with consumer(core):
        await until(lambda: len(core.ids) == 160)
        await until(lambda: settled(redis, PREMIUM))
    assert (await redis.info("commandstats"))["cmdstat_xack"]["calls"] <= 40


async def test_what_a_dead_reader_left_is_taken_over(consumer, redis):
    for number in range(40):
        await publish(redis, str(number), subject="a")
    await join(redis)
    core = Core()
    async with consumer(core, claim_after=0.05):
        await until(lambda: len(core.ids) == 40)
        await until(lambda: settled(redis, PREMIUM))
    assert core.ids == [str(number) for number in range(40)]
    assert {delivery.attempt for delivery in core.deliveries} == {2}


async def test_the_living_are_left_alone(consumer, redis):
    await publish(redis, "1")
    await join(redis)
    await publish(redis, "2")
    core = Core()
    async with consumer(core):
        await until(lambda: core.ids == ["2"])
    assert [entry["consumer"] for entry in await pending(redis)] == [b"ghost"]


async def test_what_no_reader_survives_is_buried_without_being_tried_again(consumer, redis):
    await publish(redis, "1")
    (entry_id,) = await join(redis)
    await redis.xclaim(PREMIUM, "core", "ghost", 0, [entry_id], idle=1000, retrycount=8)
    core = Core()
    async with consumer(core, claim_after=0.5):
        await until(lambda: redis.xlen(DEAD))
    ((_, letter),) = await redis.xrange(DEAD)
    assert (letter[b"attempts"], letter[b"error"]) == (b"8", b"ReaderDied")
    assert core.ids == []


async def test_only_what_is_begun_counts_and_what_may_kill_is_begun_alone(consumer, redis):
    for number in range(20):
        await publish(redis, str(number))
    left = await join(redis)
    await redis.xclaim(PREMIUM, "core", "ghost", 0, left, idle=10_000, retrycount=2)
    go = asyncio.Event()
    core = Core(lambda delivery: go.wait())
    async with consumer(core, claim_after=5):
        await until(lambda: core.ids == ["0"])
        await publish(redis, "new")
        await until(lambda: core.ids == ["0", "new"])
        counts = [entry["times_delivered"] for entry in await pending(redis)]
        assert counts == [3] + [2] * 19 + [1]
        go.set()
        await until(lambda: settled(redis, PREMIUM))
    assert core.ids == ["0", "new", *map(str, range(1, 20))]


async def test_a_handler_at_work_keeps_its_claim(consumer, redis):
    await publish(redis, "1")
    go = asyncio.Event()
    core = Core(lambda delivery: go.wait())
    async with consumer(
        core, name="worker-1", claim_after=2, concurrency=1
    ):  # no idle handler: it looks for no entries
        await until(lambda: core.ids == ["1"])
        ((entry_id),) = [entry["message_id"] for entry in await pending(redis)]
        await redis.xclaim(PREMIUM, "core", "worker-1", 0, [entry_id], idle=100_000, justid=True)
        await until(lambda: _is_fresh(redis))
        go.set()
        await until(lambda: settled(redis, PREMIUM))
    assert core.ids == ["1"]


async def _is_fresh(redis):
    (entry,) = await pending(redis)
    assert (entry["consumer"], entry["times_delivered"]) == (b"worker-1", 1)
    return entry["time_since_delivered"] < 2000


async def test_what_somebody_else_took_over_is_neither_tried_again_nor_buried(consumer, redis):
    await publish(redis, "1", subject="a")
    await publish(redis, "2", subject="a")

    async def loses_it(delivery):
        ids = [entry["message_id"] for entry in await pending(redis)]
        await redis.xclaim(PREMIUM, "core", "ghost", 0, ids)
        raise ValueError

    core = Core(loses_it)
    async with consumer(core, max_deliveries=2):
        await until(lambda: bool(core.ids))
        await publish(redis, "3", subject="a")
        await until(lambda: "3" in core.ids)
    assert "1" not in core.ids[1:]
    assert {entry["consumer"] for entry in await pending(redis)} == {b"ghost"}
    assert await redis.xlen(DEAD) == 0


async def test_the_last_failure_of_what_somebody_else_took_over_buries_nothing(consumer, redis):
    await publish(redis, "1")

    async def loses_it(delivery):
        ids = [entry["message_id"] for entry in await pending(redis)]
        await redis.xclaim(PREMIUM, "core", "ghost", 0, ids)
        raise ValueError

    core = Core(loses_it)
    async with consumer(core, max_deliveries=1):
        await until(lambda: bool(core.ids))
    assert [entry["consumer"] for entry in await pending(redis)] == [b"ghost"]
    assert await redis.xlen(DEAD) == 0


async def test_a_stop_lets_the_handler_finish_and_gives_the_rest_back(consumer, redis):
    for number in range(5):
        await publish(redis, str(number), subject="a")
    go = asyncio.Event()
    core, next_core = Core(lambda delivery: go.wait()), Core()
    first = consumer(core)
    running = asyncio.create_task(first.run())
    await until(lambda: core.ids == ["0"])
    first.stop()
    go.set()
    await running
    assert core.ids == ["0"]
    assert [entry["times_delivered"] for entry in await pending(redis)] == [0] * 4
    async with consumer(next_core):  # nobody waits for `claim_after`
        await until(lambda: settled(redis, PREMIUM))
    assert next_core.ids == ["1", "2", "3", "4"]
    assert {delivery.attempt for delivery in next_core.deliveries} == {1}


async def test_a_stop_is_bounded_and_no_fault_of_the_entry(consumer, redis):
    await publish(redis, "1")
    core, next_core = Core(lambda delivery: asyncio.Event().wait()), Core()
    async with consumer(core, stop_within=0.01):
        await until(lambda: core.ids == ["1"])
    async with consumer(next_core):
        await until(lambda: settled(redis, PREMIUM))
    assert [delivery.attempt for delivery in next_core.deliveries] == [1]


async def test_a_stop_does_not_wait_for_the_next_try(consumer, redis):
    await publish(redis, "1")
    core = Core(fail)
    async with consumer(core, retry_after=LONG, retry_at_most=LONG):
        await until(lambda: core.ids == ["1"])
    assert [entry["times_delivered"] for entry in await pending(redis)] == [1]


async def test_cancelling_the_run_is_a_stop(consumer, redis):
    await publish(redis, "1")
    core = Core()
    running = asyncio.create_task(consumer(core).run())
    await until(lambda: core.ids == ["1"])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await settled(redis, PREMIUM)


async def test_the_same_name_finds_at_once_what_it_left(consumer, redis):
    for number in range(20):
        await publish(redis, str(number), subject="a")
    await join(redis, name="worker-1")
    core = Core()
    async with consumer(core, name="worker-1", max_in_hand=3):
        await until(lambda: settled(redis, PREMIUM))
    assert core.ids == [str(number) for number in range(20)]


async def test_what_was_trimmed_meanwhile_is_forgotten(consumer, redis):
    for number in range(3):
        await publish(redis, str(number))
    left = await join(redis)
    await redis.xdel(PREMIUM, *left[:2])
    core = Core()
    async with consumer(core, claim_after=0.05):
        await until(lambda: core.ids == ["2"])
        await until(lambda: _none_pending(redis))


async def _none_pending(redis):
    return not await pending(redis)


async def test_connections_may_be_cut_at_any_time(consumer, redis, caplog):
    caplog.set_level("INFO", "gateway.consumer")
    core = Core()
    async with consumer(core):
        for number in range(300):
            await publish(redis, str(number), stream=STREAMS[number % 3])
            if number % 20 == 0:
                await redis.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: len(set(core.ids)) == 300)
        await until(lambda: settled(redis))
    assert await redis.xlen(DEAD) == 0
    told = [record.message.split()[0] for record in caplog.records]
    assert told[:2] == ["link.down", "link.up"]
    assert "link.up link.up" not in " ".join(told)


async def test_groups_that_vanish_are_made_again(consumer, redis):
    core = Core()
    async with consumer(core):
        await publish(redis, "1")
        await until(lambda: core.ids == ["1"])
        await redis.flushall()
        await publish(redis, "2")
        await until(lambda: core.ids == ["1", "2"])


async def test_a_redis_that_is_not_there_yet_is_waited_for(tmp_path, caplog):
    port, core = free_port(), Core()
    async with Consumer(f"redis://127.0.0.1:{port}", core, timeout=0.5):
        await until(lambda: "link.down" in caplog.text)
        async with embedded(EmbeddedOptions(tmp_path, port, fsync="everysec")) as server:
            async with Redis.from_url(server.url) as redis:
                await publish(redis, "1")
                await until(lambda: core.ids == ["1"])
                await until(lambda: settled(redis, PREMIUM))


async def test_a_failover_is_followed(servers):
    master = servers.single()
    replica = servers.replica(master)
    sentinels = servers.sentinels(master)
    url = f"redis+sentinel://{','.join(f'{HOST}:{sentinel.port}' for sentinel in sentinels)}/{MASTER}"
    core = Core()
    async with Consumer(url, core, timeout=0.5):
        async with Redis(port=master.port) as redis:
            await publish(redis, "1")
            await until(lambda: core.ids == ["1"])
            await redis.wait(1, 5000)
        master.kill()
        await asyncio.to_thread(eventually, lambda: replica.client().info("replication")["role"] == "master")
        async with Redis(port=replica.port) as redis:
            await publish(redis, "2")
            await until(lambda: "2" in core.ids)
            await until(lambda: settled(redis))


async def test_a_partition_that_moves_in_its_cluster_is_followed(servers):
    cluster = servers.cluster()
    slot = cluster[0].do("CLUSTER", "KEYSLOT", PREMIUM)
    core = Core()
    async with Consumer(f"redis+cluster://{HOST}:{cluster[0].port}", core, timeout=0.5):
        for number, target in enumerate(cluster, 1):  # one of them has it already
            await asyncio.to_thread(migrate, cluster, slot, target)
            async with Redis(port=target.port) as redis:
                await publish(redis, str(target.port))
                await until(partial(_has, core, number))
                await until(partial(settled, redis))
    assert core.ids == [str(node.port) for node in cluster]


async def _has(core, number):
    return len(core.ids) == number


async def test_every_partition_is_read(consumer, redis):
    for number in range(3):
        await publish(redis, str(number), stream=f"{{tickets:{number}}}:free")
    core = Core()
    async with consumer(core, partitions=3):
        await until(lambda: sorted(core.ids) == ["0", "1", "2"])


async def test_readers_long_silent_are_removed_and_those_with_entries_never(consumer, redis):
    await publish(redis, "1")
    await join(redis, name="dead")
    await redis.xgroup_createconsumer(PREMIUM, "core", "silent")
    async with consumer(Core()):
        await until(lambda: _somebody_reads(redis))
    assert await readers(redis, PREMIUM) == {"dead", "silent"}
    async with consumer(Core(), claim_after=0.01):
        await until(lambda: settled(redis, PREMIUM))
    assert await readers(redis, PREMIUM) == set()


async def test_a_failing_body_stops_the_consumer(consumer, redis):
    async def body():
        async with consumer(Core()):
            await until(lambda: _somebody_reads(redis))
            raise LookupError

    with pytest.raises(LookupError):
        await body()
    assert await readers(redis) == set()


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"claim_after": 0}, {"group": ""}, {"tiers": {}}, {"tiers": {"free": 0}}]
)
def test_options_that_make_no_sense_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Consumer("redis://127.0.0.1", Core(), **wrong)


def test_a_consumer_shows_no_password():
    assert "secret" not in repr(Consumer("redis://:secret@127.0.0.1", Core()))


def test_a_core_needs_redis_and_msgspec_alone():
    code = "import sys, gateway.queue.consumer; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    heavy = {"aiohttp", "aiosmtpd", "channels", "normalizers", "pydantic", "structlog", "rich", "jinja2"}
    assert not heavy & set(done.stdout.split())
