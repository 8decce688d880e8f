"""Reading without consuming: newest first found, oldest first told, and on after the server was away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.queue import reader
from gateway.queue.connection.deployment import Deployment, deployment
from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys, partitions
from tests.support import free_port

TIERS = ("premium", "free")
KEYS = Keys(prefix="tickets")


@pytest.fixture
async def queue(valkey_url: str, redis: Redis) -> AsyncIterator[Deployment]:
    made = deployment(valkey_url, timeout=5)
    yield made
    await made.close()


async def add(redis, tier, *numbers, keys=KEYS, entry="*"):
    for number in numbers:
        await redis.xadd(keys.stream(tier), {"n": number}, id=entry)


async def numbers(queue, parts=(KEYS,), **more):
    options = {"most": 100, **more}
    return [int(entry.fields["n"]) async for entry in reader.read(queue, parts, TIERS, **options)]


async def test_all_tiers_oldest_first(redis, queue):
    for n in range(6):
        await add(redis, TIERS[n % 2], n, entry=f"{n + 1}-0")
    assert await numbers(queue) == list(range(6))
    assert await numbers(queue, most=3) == [3, 4, 5]


async def test_the_newest_that_are_wanted_however_far_back(redis, queue, monkeypatch):
    monkeypatch.setattr(reader, "_PAGE", 7)
    await add(redis, "free", *range(100))
    wanted = {"wanted": lambda entry: int(entry.fields["n"]) % 10 == 0}
    assert await numbers(queue, most=3, **wanted) == [70, 80, 90]
    assert await numbers(queue, **wanted) == list(range(0, 100, 10))


async def test_since_is_by_the_servers_clock(redis, queue):
    seconds, _ = await redis.time()
    for age in (7_200, 3_700, 3_000, 10):
        await add(redis, "free", age, entry=f"{(seconds - age) * 1000}-0")
    assert await numbers(queue, since=timedelta(hours=1)) == [3_000, 10]


async def test_partitions_are_one_queue(redis, queue):
    parts = partitions("tickets", 3)
    for n in range(9):
        await add(redis, "free", n, keys=parts[n % 3], entry=f"{n + 1}-0")
    assert await numbers(queue, parts, most=4) == [5, 6, 7, 8]


async def test_nothing_is_left_behind(redis, queue):
    await add(redis, "free", 1)
    before = await redis.execute_command("XINFO", "STREAM", KEYS.stream("free"))
    await numbers(queue)
    assert await redis.execute_command("XINFO", "STREAM", KEYS.stream("free")) == before
    assert await redis.keys() == [KEYS.stream("free").encode()]


@pytest.mark.parametrize("count", [1, 3])
async def test_following_goes_on_where_it_began(redis, queue, count):
    parts = partitions("tickets", count)
    await add(redis, "free", 1, keys=parts[0], entry="1-0")  # too old for `since`: not told, nor later
    await add(redis, "free", 2, keys=parts[-1])
    found = []
    async with (
        asyncio.timeout(10),
        aclosing(reader.read(queue, parts, TIERS, most=10, since=timedelta(hours=1), follow=True)) as entries,
    ):
        async for entry in entries:
            found.append(int(entry.fields["n"]))
            if found[-1] == 2:
                await add(redis, "premium", 3, keys=parts[0])
            elif found[-1] == 3:
                await add(redis, "free", 4, keys=parts[-1])
            else:
                break
    assert found == [2, 3, 4]


async def test_following_a_server_that_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "_SHORTEST", 0.01)
    options = EmbeddedOptions(tmp_path / "valkey", free_port())
    links: list[bool] = []
    found = []
    async with embedded(options) as server:
        url = server.url
        async with Redis.from_url(url) as redis:
            await add(redis, "free", 1)
        queue = deployment(url, timeout=5)
        entries = reader.read(queue, (KEYS,), TIERS, most=10, follow=True, on_link=lambda up, why: links.append(up))
        found.append(int((await anext(entries)).fields["n"]))
    following = asyncio.ensure_future(anext(entries))
    async with asyncio.timeout(20):
        while not links:  # noqa: ASYNC110 - told by the reader
            await asyncio.sleep(0.005)
        async with embedded(options):
            async with Redis.from_url(url) as redis:
                await add(redis, "free", 2)
            found.append(int((await following).fields["n"]))
            await entries.aclose()
            await queue.close()
    assert found == [1, 2]
    assert links == [False, True]


async def test_a_server_that_is_away_at_the_start_is_said():
    queue = deployment(f"redis://127.0.0.1:{free_port()}", timeout=1)
    with pytest.raises(QueueUnavailable) as raised:
        await numbers(queue, follow=True)
    assert isinstance(raised.value.__cause__, RedisConnectionError)
    await queue.close()
