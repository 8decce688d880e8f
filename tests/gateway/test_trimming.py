"""Trimming deletes what every group has acknowledged, and nothing else, on a real server."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.queue import trimming
from gateway.queue.connection.deployment import Deployment, deployment
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys, partitions
from gateway.queue.trimming import Trimming

TIERS = ("premium", "free")
KEYS = Keys(prefix="tickets")
PREMIUM, DEAD = KEYS.stream("premium"), KEYS.stream("dead")


@pytest.fixture
async def queue(valkey_url: str, redis: Redis) -> AsyncIterator[Deployment]:
    made = deployment(valkey_url, timeout=5)
    yield made
    await made.close()


def trimmer(queue, parts=(KEYS,), **more):
    return Trimming(queue, parts, TIERS, **{"every": 0.01, "keep_dead": 60.0, **more})


async def fill(redis, stream, count):
    return [await redis.xadd(stream, {"n": n}) for n in range(count)]


async def left(redis, stream):
    return [entry for entry, _ in await redis.xrange(stream)]


async def give(redis, group, count):
    answer = await redis.xreadgroup(group, "reader", {PREMIUM: ">"}, count=count)
    return [entry for _, entries in answer for entry, _ in entries]


async def test_a_stream_that_nobody_reads_is_left_alone(redis, queue):
    ids = await fill(redis, PREMIUM, 20)
    await trimmer(queue).trim()
    assert await left(redis, PREMIUM) == ids


async def test_what_is_not_delivered_stays(redis, queue):
    ids = await fill(redis, PREMIUM, 20)
    await redis.xgroup_create(PREMIUM, "core", "0")
    await trimmer(queue).trim()
    assert await left(redis, PREMIUM) == ids


async def test_what_is_delivered_and_not_acknowledged_stays(redis, queue):
    ids = await fill(redis, PREMIUM, 20)
    await redis.xgroup_create(PREMIUM, "core", "0")
    await give(redis, "core", 20)
    await redis.xack(PREMIUM, "core", *ids[:5], ids[9])
    await trimmer(queue).trim()
    assert await left(redis, PREMIUM) == ids[5:]


async def test_what_is_acknowledged_goes_to_the_last(redis, queue):
    ids = await fill(redis, PREMIUM, 250)
    await redis.xgroup_create(PREMIUM, "core", "0")
    await give(redis, "core", 249)
    await redis.xack(PREMIUM, "core", *ids[:249])
    gone = []
    await trimmer(queue, on_trimmed=lambda *what: gone.append(what)).trim()
    assert await left(redis, PREMIUM) == ids[249:]
    assert {tier for tier, _ in gone} == {"premium"}
    assert sum(count for _, count in gone) == 249


async def test_the_slowest_group_decides(redis, queue):
    ids = await fill(redis, PREMIUM, 30)
    for group, delivered, acknowledged in (("core", 30, 30), ("audit", 12, 7), ("search", 9, 9)):
        await redis.xgroup_create(PREMIUM, group, "0")
        await give(redis, group, delivered)
        await redis.xack(PREMIUM, group, *ids[:acknowledged])
    await trimmer(queue).trim()
    assert await left(redis, PREMIUM) == ids[7:]


async def test_the_groups_survive_an_empty_stream(redis, queue):
    ids = await fill(redis, PREMIUM, 3)
    await redis.xgroup_create(PREMIUM, "core", "0")
    await give(redis, "core", 3)
    await redis.xack(PREMIUM, "core", *ids)
    await trimmer(queue).trim()
    assert await left(redis, PREMIUM) == []
    new = await fill(redis, PREMIUM, 1)
    assert await give(redis, "core", 10) == new


@pytest.mark.parametrize(
    "ids",
    [
        ["9-1", "10-1", "10-2", "100-0"],  # numbers, not words
        ["5-9007199254740993", "5-9007199254740994", "5-18446744073709551615", "6-0"],  # more than a Lua number holds
        ["9007199254740993-0", "9007199254740994-0", "18446744073709551614-5", "18446744073709551615-0"],
    ],
)
@pytest.mark.parametrize("acknowledged", [1, 2, 3])
@pytest.mark.parametrize("also_pending", [False, True])
async def test_ids_are_compared_as_the_server_does(redis, queue, ids, acknowledged, also_pending):
    for entry in ids:
        await redis.xadd(PREMIUM, {"n": 1}, id=entry)
    for group, delivered in (("core", len(ids)), ("audit", acknowledged + also_pending)):
        await redis.xgroup_create(PREMIUM, group, "0")
        await give(redis, group, delivered)
        await redis.xack(PREMIUM, group, *ids[: len(ids) if group == "core" else acknowledged])
    await trimmer(queue).trim()
    stay = [entry.decode() for entry in await left(redis, PREMIUM)]
    # One entry too many may stay where its successor's number is beyond Lua.
    assert stay == ids[acknowledged:] or (len(ids[acknowledged - 1]) > 17 and stay == ids[acknowledged - 1 :])


async def test_ids_that_differ_beyond_what_a_lua_number_holds(redis, queue):
    ids = [b"5-9007199254740992", b"5-9007199254740993", b"9007199254740993-0"]
    for entry in ids:
        await redis.xadd(PREMIUM, {"n": 1}, id=entry)
    for group, acknowledged in (("ahead", ids[:1]), ("behind", [])):
        await redis.xgroup_create(PREMIUM, group, "0")
        await give(redis, group, 3)
        if acknowledged:
            await redis.xack(PREMIUM, group, *acknowledged)
    await trimmer(queue).trim()
    assert await left(redis, PREMIUM) == ids


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_the_groups_do_only_what_all_have_acknowledged_goes(redis, queue, seed):
    chance = random.Random(seed)
    ids: list[bytes] = []
    done: dict[str, set[bytes]] = {}
    given: dict[str, list[bytes]] = {}
    for _ in range(150):
        step = chance.choice(("add", "add", "give", "acknowledge", "acknowledge", "group", "trim"))
        if step == "add":
            ids += await fill(redis, PREMIUM, chance.randint(1, 40))
        elif step == "group" and ids and len(done) < 3 and not chance.randrange(4):
            group = f"group-{len(done)}"
            await redis.xgroup_create(PREMIUM, group, "0")
            # It begins with what is still there: what went before it came is nothing to it.
            there = set(await left(redis, PREMIUM))
            done[group], given[group] = set(ids) - there, [entry for entry in ids if entry not in there]
        elif done and step in ("give", "acknowledge"):
            group = chance.choice(sorted(done))
            if step == "give":
                given[group] += await give(redis, group, chance.randint(1, 60))
            elif open_ := [entry for entry in given[group] if entry not in done[group]]:
                acknowledged = open_[: chance.randint(1, len(open_))] if chance.randrange(3) else [chance.choice(open_)]
                await redis.xack(PREMIUM, group, *acknowledged)
                done[group] |= set(acknowledged)
        elif step == "trim":
            await trimmer(queue).trim()
            needed = [entry for entry in ids if not done or any(entry not in acked for acked in done.values())]
            stay = await left(redis, PREMIUM)
            assert stay == (ids[ids.index(needed[0]) :] if needed else [])
    assert done


async def test_readers_get_everything_once_while_it_is_trimmed(redis, queue):
    await redis.xgroup_create(PREMIUM, "core", "0", mkstream=True)
    wanted, got = 2_000, list[int]()
    trimming_ = asyncio.create_task(trimmer(queue, every=0.0).run())

    async def reader(name):
        while len(got) < wanted:
            answer = await redis.xreadgroup("core", name, {PREMIUM: ">"}, count=7, block=50)
            entries = [(entry, fields) for _, found in answer or [] for entry, fields in found]
            got.extend(int(fields[b"n"]) for _, fields in entries)
            if entries:
                await redis.xack(PREMIUM, "core", *(entry for entry, _ in entries))

    async with asyncio.timeout(30), asyncio.TaskGroup() as all_:
        for name in ("one", "two"):
            all_.create_task(reader(name))
        await fill(redis, PREMIUM, wanted)
    trimming_.cancel()
    with suppress(asyncio.CancelledError):
        await trimming_
    assert sorted(got) == list(range(wanted))
    await trimmer(queue).trim()
    assert await redis.xlen(PREMIUM) == 0


async def test_a_long_stream_is_trimmed_in_bounded_steps(redis, queue, monkeypatch):
    monkeypatch.setattr(trimming, "_BATCH", 200)
    ids = await fill(redis, PREMIUM, 1_000)
    await redis.xgroup_create(PREMIUM, "core", ids[-1])
    steps = []
    await trimmer(queue, on_trimmed=lambda tier, count: steps.append(count)).trim()
    assert sum(steps) == 1_000
    assert len(steps) >= 5
    assert max(steps) <= 200


async def test_a_full_server_is_made_room_on(redis, queue):
    ids = await fill(redis, PREMIUM, 300)
    await redis.xgroup_create(PREMIUM, "core", ids[-1])
    await redis.config_set("maxmemory", (await redis.info("memory"))["used_memory"] // 2)
    try:
        with pytest.raises(ResponseError, match=r"OOM|memory"):
            await redis.xadd(PREMIUM, {"n": 0})
        await trimmer(queue).trim()
        assert await redis.xlen(PREMIUM) == 0
    finally:
        await redis.config_set("maxmemory", 0)


async def test_seen_marks_are_forgotten_by_the_servers_clock(redis, queue):
    seconds, _ = await redis.time()
    old = {f"old-{n}": seconds * 1000 - n for n in range(30)}
    await redis.zadd(KEYS.seen, {**old, "new": (seconds + 60) * 1000})
    gone = []
    await trimmer(queue, on_trimmed=lambda *what: gone.append(what)).trim()
    assert await redis.zrange(KEYS.seen, 0, -1) == [b"new"]
    assert gone == [("seen", 30)]


async def test_dead_letters_are_kept_as_long_as_is_set(redis, queue):
    now = int(time.time() * 1000)
    for age in (120_000, 61_000, 30_000, 1_000):
        await redis.xadd(DEAD, {"id": age}, id=f"{now - age}-0")
    gone = []
    await trimmer(queue, keep_dead=60.0, on_trimmed=lambda *what: gone.append(what)).trim()
    assert [fields[b"id"] for _, fields in await redis.xrange(DEAD)] == [b"30000", b"1000"]
    assert gone == [("dead", 2)]


async def test_every_partition_has_its_turn(redis, queue):
    parts = partitions("tickets", 3)
    for keys in parts:
        ids = await fill(redis, keys.stream("free"), 5)
        await redis.xgroup_create(keys.stream("free"), "core", ids[-1])
    await trimmer(queue, parts).trim()
    assert [await redis.xlen(keys.stream("free")) for keys in parts] == [0, 0, 0]


async def test_a_stream_that_is_none_does_not_keep_the_others_from_it(redis, queue):
    await redis.set(PREMIUM, "not a stream")
    free = KEYS.stream("free")
    ids = await fill(redis, free, 5)
    await redis.xgroup_create(free, "core", ids[-1])
    await redis.zadd(KEYS.seen, {"old": 1})
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await trimmer(queue).trim()
    assert await redis.xlen(free) == 0
    assert await redis.zcard(KEYS.seen) == 0


async def test_a_server_that_forgot_the_scripts_is_told_them_again(redis, queue):
    ids = await fill(redis, PREMIUM, 5)
    await redis.xgroup_create(PREMIUM, "core", ids[-1])
    await redis.script_flush()
    await trimmer(queue).trim()
    assert await redis.xlen(PREMIUM) == 0


class Flaky:
    """A deployment that is away for a while."""

    def __init__(self, real):
        self.real, self.away, self.moves = real, True, 0

    async def server(self, key):
        if self.away:
            raise QueueUnavailable("away")
        return await self.real.server(key)

    async def moved(self):
        self.moves += 1

    async def close(self):
        pass


async def test_it_goes_on_once_the_server_is_back(redis, queue, monkeypatch):
    monkeypatch.setattr("gateway.queue.recurring.SHORTEST", 0.001)
    ids = await fill(redis, PREMIUM, 5)
    await redis.xgroup_create(PREMIUM, "core", ids[-1])
    flaky, states, trimmed = Flaky(queue), [], asyncio.Event()

    def state(well, why):
        states.append((well, why))
        if not well:
            asyncio.get_running_loop().call_later(0.02, setattr, flaky, "away", False)

    running = asyncio.create_task(trimmer(flaky, on_state=state, on_trimmed=lambda tier, count: trimmed.set()).run())
    async with asyncio.timeout(10):
        await trimmed.wait()
        while len(states) < 2:  # noqa: ASYNC110 - told by the turn that has just trimmed
            await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert states == [(False, "QueueUnavailable"), (True, "")]
    assert flaky.moves >= 1
    assert await redis.xlen(PREMIUM) == 0
