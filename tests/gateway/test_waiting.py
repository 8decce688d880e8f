import asyncio

import pytest
from redis.exceptions import ResponseError

from gateway.queue.connection.deployment import deployment
from gateway.queue.connection.link import Link
from gateway.queue.connection.waiting import durable, wait_command
from gateway.queue.entry import Published, QueueUnavailable
from gateway.queue.publish_script import PublishScript
from tests.gateway.publishing import KEYS, TIERS, entry


def test_nothing_is_asked_unless_it_is_wanted():
    assert wait_command(0, False, 1.0) is None


def test_the_answer_comes_before_the_exchange_is_given_up():
    assert wait_command(2, False, 1.0) == ("WAIT", 2, 750)
    assert wait_command(1, True, 2.0) == ("WAITAOF", 1, 1, 1500)
    assert wait_command(1, False, 0.0001) == ("WAIT", 1, 1)  # 0 would be for ever


@pytest.mark.parametrize(
    ("command", "reply", "said"),
    [
        (("WAIT", 2, 1), 2, True),
        (("WAIT", 2, 1), 3, True),
        (("WAIT", 2, 1), 1, False),
        (("WAIT", 1, 1), ResponseError("unknown command"), False),
        (("WAITAOF", 1, 0, 1), [1, 0], True),
        (("WAITAOF", 1, 2, 1), [1, 1], False),
        (("WAITAOF", 1, 1, 1), [0, 1], False),
        (("WAITAOF", 1, 1, 1), ResponseError("appendonly is disabled"), False),
        (("WAITAOF", 1, 0, 1), 1, False),
    ],
)
def test_only_a_number_that_is_large_enough_says_yes(command, reply, said):
    assert durable(command, reply) is said


@pytest.fixture
async def written(servers):
    """Write, ask, and say whether it was durable."""
    master = servers.single(appendonly="yes", appendfsync="always")
    links = []

    async def written(replicas, fsync):
        redis = deployment(master.url, timeout=2.0)
        link = Link(redis, "{tickets}:seen", timeout=2.0)
        links.append((link, redis))
        command = wait_command(replicas, fsync, 0.4)
        assert command is not None
        _, reply = await link.exchange(("HINCRBY", "{tickets}:stats", "probes", 1), command)
        return durable(command, reply)

    yield written, master
    for link, redis in links:
        await link.close()
        await redis.close()


async def test_a_stalled_replica_has_nothing(written, servers):
    written, master = written
    assert not await written(1, False)  # there is none yet
    replica = servers.replica(master, appendonly="yes", appendfsync="always")
    assert await written(1, False)
    assert not await written(2, False)
    async with asyncio.timeout(20):
        while not await written(1, True):  # a new replica rewrites its file first
            pass
    with replica.stalled():
        assert not await written(1, False)
        assert not await written(1, True)
        assert await written(0, True)


async def test_a_server_without_an_append_only_file_has_fsynced_nothing(written):
    written, master = written
    assert await written(0, True)
    master.do("CONFIG", "SET", "appendonly", "no")
    assert not await written(0, True)


async def test_a_replica_that_is_stalled_does_not_vouch_for_a_repeat_either(servers):
    master = servers.single()
    replica = servers.replica(master)
    redis = deployment(master.url, timeout=2.0)
    first, second, third = (
        PublishScript(Link(redis, KEYS.seen, timeout=2.0), KEYS, TIERS, wait_command(1, False, 0.4)) for _ in range(3)
    )
    assert await first.publish([entry("1")]) == [Published.NEW]
    with replica.stalled():
        for script in (first, second):
            with pytest.raises(QueueUnavailable, match="replicas"):
                await script.publish([entry("1")])
        master.do("CONFIG", "SET", "maxmemory", 1)  # nothing can be counted any more
        for script in (first, second, third):
            with pytest.raises(QueueUnavailable, match="replicas"):
                await script.publish([entry("1")])
    assert await second.publish([entry("1")]) == [Published.DUPLICATE]
    assert master.do("PTTL", KEYS.seen) == -1
    for script in (first, second, third):
        await script.close()
    await redis.close()
