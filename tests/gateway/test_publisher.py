"""Against a real server: the script is the point."""

import asyncio
import time
from itertools import chain

from gateway.identity import digest16
from gateway.queue.entry import Published, QueueUnavailable
from gateway.queue.keys import partitions
from gateway.queue.publisher import Bounds
from tests.gateway.proxy import proxy
from tests.gateway.publishing import KEYS, TIERS, entry, ids
from tests.support import until


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
    counted = await redis.hgetall("{tickets}:stats")
    assert (counted[b"duplicates"], counted[b"conflicts"]) == (b"2", b"1")


async def test_a_forgotten_mark_lets_the_message_in_again(publisher, redis):
    await publisher.publish(entry("1", keep_ms=-1))
    assert await publisher.publish(entry("1")) is Published.NEW


async def test_old_marks_are_swept_as_new_ones_come(publisher, redis):
    for n in range(10):
        await publisher.publish(entry(f"old {n}", keep_ms=-1))
    await publisher.publish(entry("new"))
    assert await redis.zrange("{tickets}:seen", 0, -1) == [digest16("new")]


async def test_what_waits_goes_out_in_one_call(publisher, told, redis):
    await asyncio.gather(*(publisher.publish(entry(str(n), tier=TIERS[n % 3])) for n in range(300)))
    assert sum(told.batches) == 300
    assert len(told.batches) <= 3
    assert [await redis.xlen(KEYS.stream(tier)) for tier in TIERS] == [100, 100, 100]


async def test_each_entry_of_a_batch_gets_its_own_answer(publisher, redis):
    await publisher.publish(entry("old", fingerprint="a"))
    entries = [entry("new"), entry("old", fingerprint="a"), entry("old", fingerprint="b")]
    answers = await asyncio.gather(*(publisher.publish(one) for one in entries))
    assert answers == [Published.NEW, Published.DUPLICATE, Published.CONFLICT]


async def test_a_batch_is_bounded_in_size_and_a_large_entry_goes_alone(start, valkey_url, told, redis):
    sizes = [10, 60, 60, 500, 10]
    async with start(valkey_url, bounds=Bounds(batch_bytes=100)) as publisher:
        await asyncio.gather(*(publisher.publish(entry(str(n), size=size)) for n, size in enumerate(sizes)))
    assert told.batches == [2, 1, 1, 1]


async def test_order_of_arrival_is_order_on_the_stream(publisher, redis):
    await asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(500)))
    entries = await redis.xrange("{tickets}:free")
    assert [int(fields[b"id"]) for _, fields in entries] == list(range(500))


async def test_the_script_may_be_forgotten_by_the_server(publisher, redis):
    await publisher.publish(entry("1"))
    await redis.script_flush()
    assert await publisher.publish(entry("2")) is Published.NEW


async def test_a_waiter_who_left_does_not_take_the_entry_with_him(publisher, redis):
    publisher.publish(entry("1")).cancel()
    assert await publisher.publish(entry("1")) is Published.DUPLICATE
    assert await redis.xlen("{tickets}:free") == 1


async def test_a_full_waiting_room_refuses_at_once(start, valkey_url, redis):
    async with start(valkey_url, bounds=Bounds(waiting_entries=5)) as publisher:
        answers = await asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(9)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, QueueUnavailable)]
    assert len(refused) == 4
    assert await redis.xlen("{tickets}:free") == 5


async def test_the_waiting_room_is_bounded_in_bytes_too(start, valkey_url, redis):
    async with start(valkey_url, bounds=Bounds(waiting_bytes=100)) as publisher:
        calls = (publisher.publish(entry(str(n), size=60)) for n in range(5))
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, QueueUnavailable) for answer in answers) == 3


async def test_an_answer_lost_after_the_write_is_asked_for_again(start, valkey_url, redis):
    lost: list[bytes] = []

    def lose_the_first(data: bytes) -> bytes | None:
        if b"*3\r\n:1\r\n" in data and not lost:  # the script's reply
            lost.append(data)
            return None
        return data

    async with proxy(int(valkey_url.rpartition(":")[2])) as between:
        between.answers = lose_the_first
        async with start(between.url) as publisher:
            await publisher.publish(entry("before"))
            answers = await asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(3)))
    assert lost
    assert answers == [Published.NEW] * 3
    assert await ids(redis) == ["before", "0", "1", "2"]


async def test_an_idle_connection_that_was_closed_is_no_server_gone(start, valkey_url, told, redis):
    async with proxy(int(valkey_url.rpartition(":")[2])) as between, start(between.url) as publisher:
        await publisher.publish(entry("1"))
        between.cut()
        assert await publisher.publish(entry("2")) is Published.NEW
    assert (told.links, told.spool) == ([], [])
    assert await ids(redis) == ["1", "2"]


async def test_a_probe_is_a_write_and_tells_without_raising(start, publisher, redis):
    assert await publisher.probe()
    await redis.config_set("maxmemory", 1)
    try:
        assert not await publisher.probe()
    finally:
        await redis.config_set("maxmemory", 0)
    await until(publisher.probe)


async def test_a_duplicate_needs_no_memory(publisher, told, redis):
    await publisher.publish(entry("1"))
    await redis.config_set("maxmemory", 1)
    try:
        assert await publisher.publish(entry("1")) is Published.DUPLICATE
    finally:
        await redis.config_set("maxmemory", 0)
    assert told.spool == []


async def test_conversations_are_spread_over_the_partitions_and_stay_where_they_are(start, valkey_url, redis):
    async with start(valkey_url, count=4) as publisher:
        entries = [entry(f"{n}", conversation=f"conversation {n % 20}") for n in range(100)]
        await asyncio.gather(*(publisher.publish(one) for one in entries))
    streams = [await redis.xrange(keys.stream("free")) for keys in partitions("tickets", 4)]
    found = [[int(fields[b"id"]) for _, fields in stream] for stream in streams]
    assert sorted(chain.from_iterable(found)) == list(range(100))
    assert all(found)
    for numbers in found:
        assert numbers == sorted(numbers)
    homes = {number % 20: partition for partition, numbers in enumerate(found) for number in numbers}
    assert all(homes[number % 20] == partition for partition, numbers in enumerate(found) for number in numbers)


def test_every_key_of_a_partition_shares_a_slot():
    names = [KEYS.seen, KEYS.stats, *(KEYS.stream(tier) for tier in TIERS)]
    assert names == ["{tickets}:seen", "{tickets}:stats", "{tickets}:premium", "{tickets}:business", "{tickets}:free"]
    assert [keys.seen for keys in partitions("tickets", 2)] == ["{tickets:0}:seen", "{tickets:1}:seen"]
