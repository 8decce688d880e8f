"""Against a real server: the script is the point."""

import asyncio
import time

import pytest
from redis.asyncio import Redis

from gateway.identity import digest16
from gateway.queue.connection import QueueUnavailable, check_url, connect, mask
from gateway.queue.embedded import EmbeddedOptions, embedded
from gateway.queue.keys import Keys
from gateway.queue.publisher import Entry, Published, Publisher
from tests.support import free_port

TIERS = ("premium", "business", "free")
KEYS = Keys(prefix="tickets")


def entry(key: str, *, tier: str = "free", fingerprint: str = "", keep_ms: int = 60_000, size: int = 1) -> Entry:
    return Entry(
        stream=tier,
        mark=digest16(key),
        fingerprint=digest16(f"{key}\n{fingerprint}") if fingerprint else b"",
        keep_ms=keep_ms,
        fields=("id", key, "event", b"{}"),
        size=size,
    )


class Batches(list[int]):
    def __call__(self, entries: int, seconds: float) -> None:
        self.append(entries)


@pytest.fixture
async def client(valkey_url, redis):
    client = connect(valkey_url)
    yield client
    await client.aclose()


@pytest.fixture
def batches():
    return Batches()


@pytest.fixture
def publisher(client, batches):
    return Publisher(client, KEYS, TIERS, on_batch=batches)


async def test_an_entry_is_on_the_stream_of_its_tier(publisher, redis):
    assert await publisher.publish(entry("1", tier="premium")) is Published.NEW
    ((_, fields),) = await redis.xrange("{tickets}:premium")
    assert fields == {b"id": b"1", b"event": b"{}"}
    assert await redis.zscore("{tickets}:seen", digest16("1")) > time.time() * 1000


async def test_the_same_again_is_a_duplicate_even_if_the_tier_changed(publisher, redis):
    await publisher.publish(entry("1", tier="premium"))
    assert await publisher.publish(entry("1", tier="free")) is Published.DUPLICATE
    assert (await redis.xlen("{tickets}:premium"), await redis.xlen("{tickets}:free")) == (1, 0)
    assert await redis.hget("{tickets}:stats", "duplicates") == b"1"


async def test_twenty_parallel_duplicates_publish_once(publisher, redis):
    answers = await asyncio.gather(*(publisher.publish(entry("1")) for _ in range(20)))
    assert sorted(answer.name for answer in answers) == ["DUPLICATE"] * 19 + ["NEW"]
    assert await redis.xlen("{tickets}:free") == 1


async def test_the_same_key_with_other_content_is_a_conflict(publisher, redis):
    assert await publisher.publish(entry("1", fingerprint="a")) is Published.NEW
    assert await publisher.publish(entry("1", fingerprint="a")) is Published.DUPLICATE
    assert await publisher.publish(entry("1", fingerprint="b")) is Published.CONFLICT
    assert await publisher.publish(entry("1", fingerprint="a")) is Published.DUPLICATE
    assert await redis.xlen("{tickets}:free") == 1
    assert await redis.hgetall("{tickets}:stats") == {b"duplicates": b"2", b"conflicts": b"1"}


async def test_a_forgotten_mark_lets_the_message_in_again(publisher, redis):
    await publisher.publish(entry("1", keep_ms=-1))
    assert await publisher.publish(entry("1")) is Published.NEW


async def test_old_marks_are_swept_as_new_ones_come(publisher, redis):
    for n in range(10):
        await publisher.publish(entry(f"old {n}", keep_ms=-1))
    await publisher.publish(entry("new"))
    assert await redis.zrange("{tickets}:seen", 0, -1) == [digest16("new")]


async def test_what_waits_goes_out_in_one_call(publisher, batches, redis):
    await asyncio.gather(*(publisher.publish(entry(str(n), tier=TIERS[n % 3])) for n in range(300)))
    assert sum(batches) == 300
    assert len(batches) <= 3
    assert [await redis.xlen(KEYS.stream(tier)) for tier in TIERS] == [100, 100, 100]


async def test_each_entry_of_a_batch_gets_its_own_answer(publisher, redis):
    await publisher.publish(entry("old", fingerprint="a"))
    entries = [entry("new"), entry("old", fingerprint="a"), entry("old", fingerprint="b")]
    answers = await asyncio.gather(*(publisher.publish(one) for one in entries))
    assert answers == [Published.NEW, Published.DUPLICATE, Published.CONFLICT]


async def test_a_batch_is_bounded_in_size_and_a_large_entry_goes_alone(client, batches, redis):
    publisher = Publisher(client, KEYS, TIERS, max_bytes=100, on_batch=batches)
    sizes = [10, 60, 60, 500, 10]
    await asyncio.gather(*(publisher.publish(entry(str(n), size=size)) for n, size in enumerate(sizes)))
    assert batches == [2, 1, 1, 1]


async def test_order_of_arrival_is_order_on_the_stream(publisher, redis):
    await asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(500)))
    entries = await redis.xrange("{tickets}:free")
    assert [int(fields[b"id"]) for _, fields in entries] == list(range(500))


async def test_the_script_may_be_forgotten_by_the_server(publisher, redis):
    await publisher.publish(entry("1"))
    await redis.script_flush()
    assert await publisher.publish(entry("2")) is Published.NEW


async def test_a_waiter_who_left_does_not_take_the_entry_with_him(publisher, redis):
    waiting = asyncio.create_task(publisher.publish(entry("1")))
    await asyncio.sleep(0)
    waiting.cancel()
    await publisher.close()
    assert await redis.xlen("{tickets}:free") == 1


async def test_a_full_waiting_room_refuses_at_once(client, redis):
    publisher = Publisher(client, KEYS, TIERS, max_waiting=5)
    answers = await asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(9)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, QueueUnavailable)]
    assert len(refused) == 4
    assert await redis.xlen("{tickets}:free") == 5


async def test_no_server_is_said_once_and_so_is_its_return(tmp_path):
    links: list[tuple[bool, str]] = []
    port = free_port()
    client = connect(f"redis://127.0.0.1:{port}")
    publisher = Publisher(client, KEYS, TIERS, on_link=lambda up, why: links.append((up, why)))
    for _ in range(3):
        with pytest.raises(QueueUnavailable):
            await publisher.publish(entry("1"))
    assert links == [(False, "ConnectionError")]
    async with embedded(EmbeddedOptions(tmp_path, port)):
        assert await publisher.publish(entry("1")) is Published.NEW
        assert await publisher.publish(entry("2")) is Published.NEW
    assert links == [(False, "ConnectionError"), (True, "")]
    await client.aclose()


async def test_a_server_that_refuses_to_write_is_unavailable_and_loses_nothing(publisher, redis):
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnavailable):
            await publisher.publish(entry("1"))
    finally:
        await redis.config_set("maxmemory", 0)
    assert await publisher.publish(entry("1")) is Published.NEW


async def test_a_failing_batch_leaves_the_next_ones_unharmed(publisher, redis):
    await redis.set("{tickets}:premium", "not a stream")
    with pytest.raises(QueueUnavailable):
        await publisher.publish(entry("1", tier="premium"))
    assert await publisher.publish(entry("2")) is Published.NEW


async def test_a_probe_is_a_write_and_tells_without_raising(client, publisher, redis):
    assert await publisher.probe()
    await redis.config_set("maxmemory", 1)
    try:
        assert not await publisher.probe()
    finally:
        await redis.config_set("maxmemory", 0)
    assert await publisher.probe()
    assert not await Publisher(connect(f"redis://127.0.0.1:{free_port()}"), KEYS, TIERS).probe()


async def test_an_answer_lost_after_the_write_is_asked_for_again(valkey_url, redis):
    lost: list[bytes] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, lose: bool) -> None:
        while data := await reader.read(65536):
            if lose and b":1\r\n" in data and not lost:  # the script's reply
                lost.append(data)
                break
            writer.write(data)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_connection("127.0.0.1", int(valkey_url.rpartition(":")[2]))
        await asyncio.gather(pipe(reader, to_server[1], lose=False), pipe(to_server[0], writer, lose=True))

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        publisher = Publisher(client, KEYS, TIERS)
        answers = await asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(3)))
        await client.aclose()
    assert lost
    assert answers == [Published.NEW] * 3
    assert await redis.xlen("{tickets}:free") == 3


async def test_one_bad_stream_does_not_harm_the_others_of_its_batch(publisher, redis):
    await redis.set("{tickets}:premium", "not a stream")
    entries = [entry(str(n), tier=TIERS[n % 3]) for n in range(30)]
    answers = await asyncio.gather(*(publisher.publish(one) for one in entries), return_exceptions=True)
    assert [isinstance(answer, QueueUnavailable) for answer in answers] == [n % 3 == 0 for n in range(30)]
    assert (await redis.xlen("{tickets}:business"), await redis.xlen("{tickets}:free")) == (10, 10)


async def test_when_the_link_is_down_nobody_waits_out_a_time_out_of_his_own():
    async def black_hole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(black_hole, "127.0.0.1", 0)
    client = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=0.1)
    publisher = Publisher(client, KEYS, TIERS, max_batch=2)
    calls = asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(40)), return_exceptions=True)
    answers = await asyncio.wait_for(calls, 5)
    assert all(isinstance(answer, QueueUnavailable) for answer in answers)
    await client.aclose()
    server.close()


async def test_the_waiting_room_is_bounded_in_bytes_too(client, redis):
    publisher = Publisher(client, KEYS, TIERS, max_waiting_bytes=100)
    answers = await asyncio.gather(
        *(publisher.publish(entry(str(n), size=60)) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, QueueUnavailable) for answer in answers) == 3


async def test_a_duplicate_needs_no_memory(publisher, redis):
    await publisher.publish(entry("1"))
    await redis.config_set("maxmemory", 1)
    try:
        assert await publisher.publish(entry("1")) is Published.DUPLICATE
    finally:
        await redis.config_set("maxmemory", 0)


def test_every_key_of_a_partition_shares_a_slot():
    names = [KEYS.seen, KEYS.stats, *(KEYS.stream(tier) for tier in TIERS)]
    assert names == ["{tickets}:seen", "{tickets}:stats", "{tickets}:premium", "{tickets}:business", "{tickets}:free"]


def test_the_client_never_sends_twice_on_its_own():
    client: Redis = connect("redis://127.0.0.1:1")
    retry = client.get_retry()
    assert retry is not None
    assert retry.get_retries() == 0


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0?timeuot=5", "redis://127.0.0.1:port", "redis://127.0.0.1/x?db=y"]
)
def test_a_url_the_client_does_not_know_is_refused_without_quoting_it(url):
    with pytest.raises(ValueError, match="not known") as caught:
        check_url(url)
    assert "127.0.0.1" not in str(caught.value)


def test_a_url_is_shown_without_its_password():
    assert mask("rediss://me:secret@host:1/0?password=secret") == "rediss://host:1/0"
