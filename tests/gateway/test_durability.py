"""What a server promises is read from the server, and said in words before a customer finds out."""

import pytest
from redis.asyncio import Redis

from gateway.queue.connection.deployment import deployment
from gateway.queue.durability import Told, check, judge
from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from tests.support import free_port

SOUND = {"name": "Redis 7.4.1", "version": (7, 4, 1), "appendonly": True, "appendfsync": "always"}
SOUND |= {"maxmemory": 2**28, "policy": "noeviction"}


def found(*, wait_replicas=0, wait_fsync=False, **told):
    (finding,) = judge(Told(**{**SOUND, **told}), wait_replicas=wait_replicas, wait_fsync=wait_fsync)
    assert bool(finding.remedy) is (finding.level != "ok")
    return finding.level, finding.what


def test_a_server_that_keeps_what_it_says_yes_to_is_well():
    assert found() == ("ok", "Redis 7.4.1 fsyncs what it says yes to, and evicts nothing")


@pytest.mark.parametrize(
    ("told", "level", "says"),
    [
        ({"policy": "allkeys-lru"}, "failing", "evicts unread tickets"),
        ({"policy": "allkeys-lru", "maxmemory": 0}, "warning", "would evict unread tickets"),
        ({"policy": "volatile-ttl"}, "warning", "no ticket is evicted, because only the counts of the report expire"),
        ({"policy": "volatile-ttl", "maxmemory": 0}, "ok", "evicts nothing"),
        ({"policy": None}, "warning", "does not tell whether it evicts"),
        ({"appendonly": False}, "warning", "no append-only file: when it stops"),
        ({"appendonly": None}, "warning", "does not tell whether it keeps an append-only file"),
        ({"appendfsync": "everysec"}, "warning", "fsyncs once a second"),
        ({"appendfsync": "no"}, "warning", "leaves fsync to the kernel"),
        ({"appendfsync": None}, "warning", "does not tell how often it fsyncs"),
        ({"appendfsync": "everysec", "wait_fsync": True}, "ok", "fsyncs what it says yes to"),
        ({"appendonly": False, "wait_fsync": True}, "failing", "which queue.wait_fsync needs"),
        ({"version": (7, 0, 15), "wait_fsync": True}, "failing", "has no WAITAOF"),
        ({"version": (6, 0, 16)}, "failing", "too old"),
        ({"version": (6, 2, 0)}, "ok", "fsyncs"),
        ({"replica": True}, "warning", "is a replica"),
        ({"replicas": 1, "wait_replicas": 2}, "warning", "has 1 replicas, and queue.wait_replicas is 2"),
        ({"replicas": 2, "wait_replicas": 2}, "ok", "fsyncs"),
    ],
)
def test_each_weakness_is_told_by_itself(told, level, says):
    graded, what = found(**told)
    assert graded == level
    assert says in what


@pytest.fixture
async def server(tmp_path):
    """A server of the test's own, to be changed at will."""
    async with embedded(EmbeddedOptions(tmp_path / "valkey", free_port())) as server:
        yield server


async def levels(url, **options):
    queue = deployment(url)
    try:
        return [(one.level, one.what) for one in await check(queue, partitions("tickets", 3), **options)]
    finally:
        await queue.close()


async def test_a_real_server_is_asked_once_for_all_partitions(server):
    ((level, what),) = await levels(server.url)
    assert level == "ok"
    assert what.endswith(f" {server.version} fsyncs what it says yes to, and evicts nothing")


async def test_what_a_real_server_is_set_to_is_what_is_judged(server):
    async with Redis.from_url(server.url) as redis:
        await redis.config_set("appendfsync", "everysec")
        await redis.config_set("maxmemory-policy", "allkeys-lfu")
    (evicts, fsyncs) = await levels(server.url)
    assert (evicts[0], fsyncs[0]) == ("failing", "warning")
    assert "(maxmemory-policy allkeys-lfu)" in evicts[1]
    assert fsyncs not in await levels(server.url, wait_fsync=True)


@pytest.mark.parametrize(
    ("rights", "graded"),
    [
        (("-config",), ["warning"]),  # INFO tells all but how often it fsyncs
        (("-config", "-info"), ["warning", "warning"]),
    ],
)
async def test_where_asking_is_refused_what_is_not_known_is_said(server, rights, graded):
    async with Redis.from_url(server.url) as redis:
        await redis.execute_command("ACL", "SETUSER", "poor", "on", ">pw", "~*", "+@all", *rights)
    said = await levels(server.url.replace("redis://", "redis://poor:pw@"))
    assert [level for level, _ in said] == graded
    assert all("does not tell" in what for _, what in said)


async def test_a_replica_is_told(server, valkey_url):
    async with Redis.from_url(server.url) as redis:
        await redis.execute_command("REPLICAOF", "127.0.0.1", valkey_url.rpartition(":")[2])
        ((level, what),) = await levels(server.url)
        await redis.execute_command("REPLICAOF", "NO", "ONE")
    assert level == "warning"
    assert "is a replica" in what


async def test_a_server_that_is_away_raises():
    with pytest.raises(QueueUnavailable):
        await levels(f"redis://127.0.0.1:{free_port()}")
