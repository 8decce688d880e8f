"""The depths of the queue, read from a real server."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gateway.queue.connection.deployment import Deployment, deployment
from gateway.queue.depths import depths, queue_depths
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys, partitions

TIERS = ("premium", "free")
KEYS = Keys(prefix="tickets")
PREMIUM = KEYS.stream("premium")


@pytest.fixture
async def queue(valkey_url: str, redis: Redis) -> AsyncIterator[Deployment]:
    made = deployment(valkey_url, timeout=5)
    yield made
    await made.close()


async def now_ms(redis):
    seconds, micros = await redis.time()
    return seconds * 1000 + micros // 1000


async def fill(redis, stream, count, *, age=0.0):
    """`count` entries, the first `age` seconds old, a millisecond between two."""
    begin = await now_ms(redis) - int(age * 1000)
    return [await redis.xadd(stream, {"n": n}, id=f"{begin + n}-0") for n in range(count)]


async def give(redis, group, count):
    answer = await redis.xreadgroup(group, "reader", {PREMIUM: ">"}, count=count)
    return [entry for _, entries in answer for entry, _ in entries]


def about(seconds):
    """It took a while to ask, and other tests share the machine."""
    return pytest.approx(seconds + 10, abs=10.01)


async def test_an_empty_queue(redis, queue):
    found = await depths(queue, KEYS, TIERS)
    assert [(stream.tier, stream.entries, stream.oldest_unread_seconds) for stream in found.streams] == [
        ("premium", 0, None),
        ("free", 0, None),
    ]
    assert (found.dead_letters, found.oldest_dead_letter_seconds, found.seen_marks) == (0, None, 0)
    assert found.memory_bytes
    assert found.memory_max_bytes is not None


async def test_without_a_group_everything_is_unread(redis, queue):
    await fill(redis, PREMIUM, 7, age=600)
    (premium, _) = (await depths(queue, KEYS, TIERS)).streams
    assert premium.entries == 7
    assert premium.groups == ()
    assert premium.oldest_unread_seconds == about(600)


async def test_each_group_and_the_slowest_one(redis, queue):
    await fill(redis, PREMIUM, 4, age=3_000)
    await fill(redis, PREMIUM, 6, age=1_000)
    for group in ("core", "audit"):
        await redis.xgroup_create(PREMIUM, group, "0")
    ids = await give(redis, "core", 10)
    await redis.xack(PREMIUM, "core", *ids)
    ids = await give(redis, "audit", 6)
    await redis.xack(PREMIUM, "audit", *ids[2:])
    (premium, _) = (await depths(queue, KEYS, TIERS, count=100)).streams
    audit, core = sorted(premium.groups, key=lambda group: group.name)
    assert (core.pending, core.undelivered, core.exact, core.oldest_unread_seconds) == (0, 0, True, None)
    assert (audit.pending, audit.undelivered, audit.exact) == (2, 4, True)
    assert audit.oldest_unread_seconds == about(3_000)
    assert premium.oldest_unread_seconds == audit.oldest_unread_seconds
    await redis.xack(PREMIUM, "audit", *ids[:2])
    (premium, _) = (await depths(queue, KEYS, TIERS)).streams
    assert premium.oldest_unread_seconds == about(1_000)  # the first that was not delivered


async def test_undelivered_is_counted_only_when_asked(redis, queue):
    await fill(redis, PREMIUM, 3)
    await redis.xgroup_create(PREMIUM, "core", "0")
    (premium, _) = (await depths(queue, KEYS, TIERS)).streams
    assert premium.groups[0].undelivered is None


@pytest.mark.parametrize(
    ("entries", "delivered", "bound", "undelivered", "exact"),
    [
        (1_000, 0, 150, 1_000, True),  # nobody begins: all of it
        (1_000, 990, 150, 10, True),  # counted from the back
        (1_000, 30, 150, 970, True),  # counted from the front
        (1_000, 500, 100, 200, False),  # neither end is near: at least so many
    ],
)
async def test_undelivered_without_reading_it_all(redis, queue, entries, delivered, bound, undelivered, exact):
    ids = await fill(redis, PREMIUM, entries)
    await redis.xgroup_create(PREMIUM, "core", ids[delivered - 1] if delivered else "0")
    (premium, _) = (await depths(queue, KEYS, TIERS, count=bound)).streams
    assert (premium.groups[0].undelivered, premium.groups[0].exact) == (undelivered, exact)


async def test_undelivered_is_right_after_deletions(redis, queue):
    ids = await fill(redis, PREMIUM, 20)
    await redis.xgroup_create(PREMIUM, "core", "0")
    await give(redis, "core", 5)
    await redis.xdel(PREMIUM, ids[2], ids[8], ids[12])
    (premium, _) = (await depths(queue, KEYS, TIERS, count=100)).streams
    assert (premium.groups[0].pending, premium.groups[0].undelivered) == (5, 13)


async def test_dead_letters_and_seen_marks(redis, queue):
    await fill(redis, KEYS.stream("dead"), 2, age=7_200)
    await redis.zadd(KEYS.seen, {"a": 1, "b": 2, "c": 3})
    found = await depths(queue, KEYS, TIERS)
    assert (found.dead_letters, found.seen_marks) == (2, 3)
    assert found.oldest_dead_letter_seconds == about(7_200)


async def test_partitions_together(redis, queue):
    parts = partitions("tickets", 3)
    for number, keys in enumerate(parts):
        ids = await fill(redis, keys.stream("premium"), 5 * (number + 1), age=100 * (number + 1))
        await redis.xgroup_create(keys.stream("premium"), "core", ids[3])
        await redis.zadd(keys.seen, {"a": 1})
    await redis.xgroup_create(parts[1].stream("premium"), "audit", "0")
    found = await queue_depths(queue, parts, TIERS, count=100)
    premium, free = found.streams
    assert (premium.entries, premium.longest, free.entries) == (30, 15, 0)
    assert [(group.name, group.undelivered) for group in premium.groups] == [("audit", 10), ("core", 1 + 6 + 11)]
    assert premium.oldest_unread_seconds == about(300)
    assert found.seen_marks == 3


async def test_a_user_who_may_not_ask_for_memory_still_gets_the_depths(redis, valkey_url):
    await redis.execute_command("ACL", "SETUSER", "limited", "on", ">word", "~*", "+@all", "-info")
    limited = deployment(valkey_url.replace("://", "://limited:word@"), timeout=5)
    try:
        found = await depths(limited, KEYS, TIERS)
    finally:
        await limited.close()
        await redis.execute_command("ACL", "DELUSER", "limited")
    assert (found.memory_bytes, found.memory_max_bytes, found.seen_marks) == (None, None, 0)


async def test_a_key_that_is_no_stream_is_said(redis, queue):
    await redis.set(PREMIUM, "not a stream")
    with pytest.raises(QueueUnavailable):
        await depths(queue, KEYS, TIERS)
