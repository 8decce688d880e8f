"""The scripts, the errors and the users of docs/redis.md, on every server that is to be had."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.exceptions import ResponseError

from gateway.queue.connection.answers import nobody_can_write, word
from gateway.queue.connection.deployment import deployment
from gateway.queue.connection.link import Link
from gateway.queue.consumer import Consumer
from gateway.queue.dead_letter_box import DeadLetterBox
from gateway.queue.depths import queue_depths
from gateway.queue.entry import Published, QueueUnavailable
from gateway.queue.publish_script import PublishScript
from gateway.queue.trimming import Trimming
from tests.gateway.publishing import KEYS, TIERS, entry
from tests.gateway.servers import HOST, Servers, binaries

BINARIES = binaries()
DOCUMENT = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
USERS = re.findall(r"^ACL SETUSER (.+)$", DOCUMENT, re.MULTILINE)
EVENT = b'{"specversion": "1.0", "id": "1", "source": "/channels/notes", "subject": "one", "data": {}}'
NEW, DUPLICATE, CONFLICT = Published.NEW, Published.DUPLICATE, Published.CONFLICT


@pytest.fixture(scope="module", params=BINARIES)
def server(request, tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp("servers"), BINARIES[request.param])
    yield servers.single()
    servers.stop()


@pytest.fixture
def fresh(server):
    """The server, empty and in good order, when the test begins and when it ends."""
    heal(server)
    yield server
    heal(server)


def heal(server):
    server.do("REPLICAOF", "NO", "ONE")
    for name, value in {"maxmemory": 0, "min-replicas-to-write": 0, "replica-serve-stale-data": "yes"}.items():
        server.do("CONFIG", "SET", name, value)
    server.do("FLUSHALL")
    server.do("SCRIPT", "FLUSH")


@pytest.fixture
async def publish(fresh):
    redis = deployment(fresh.url)
    script = PublishScript(Link(redis, KEYS.seen, timeout=2.0), KEYS, TIERS)

    async def publish(*entries):
        return await script.publish(entries)

    yield publish
    await script.close()
    await redis.close()


async def test_each_entry_of_a_batch_has_its_own_answer(publish, fresh):
    assert await publish(entry("old", fingerprint="a")) == [NEW]
    batch = entry("new", tier="premium"), entry("old", fingerprint="a"), entry("old", fingerprint="b"), entry("new")
    assert await publish(*batch) == [NEW, DUPLICATE, CONFLICT, DUPLICATE]
    assert [fresh.do("XLEN", KEYS.stream(tier)) for tier in TIERS] == [1, 0, 1]
    assert fresh.do("HGETALL", KEYS.stats) == {"duplicates": "2", "conflicts": "1"}


async def test_a_mark_is_forgotten_in_time_and_swept(publish, fresh):
    assert await publish(entry("1", keep_ms=-1), entry("2")) == [NEW, NEW]
    assert await publish(entry("1")) == [NEW]
    assert await publish(entry("old", keep_ms=-1)) == [NEW]
    assert await publish(entry("3")) == [NEW]
    assert fresh.do("ZCARD", KEYS.seen) == 3


async def test_any_bytes_come_through(publish, fresh):
    odd = bytes(range(256)) + "결제 🎉".encode()
    assert await publish(replace(entry("1"), fields=("event", odd))) == [NEW]
    with fresh.client() as client:
        answer: Any = client.execute_command("XRANGE", KEYS.stream("free"), "-", "+")
    ((_, fields),) = answer
    assert fields == {b"event": odd}


async def test_a_batch_of_the_largest_size_and_a_forgotten_script(publish, fresh):
    assert await publish(*(entry(str(n)) for n in range(256))) == [NEW] * 256
    fresh.do("SCRIPT", "FLUSH")
    assert await publish(*(entry(str(n)) for n in range(128, 384))) == [DUPLICATE] * 128 + [NEW] * 128


STATES: dict[str, list[tuple[Any, ...]]] = {
    "OOM": [("CONFIG", "SET", "maxmemory", 1)],
    "NOREPLICAS": [("CONFIG", "SET", "min-replicas-to-write", 1)],
    "READONLY": [("REPLICAOF", HOST, 1)],
    "MASTERDOWN": [("REPLICAOF", HOST, 1), ("CONFIG", "SET", "replica-serve-stale-data", "no")],
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("known", [True, False], ids=["script known", "script unknown"])
async def test_a_server_that_takes_nothing_says_why(publish, fresh, state, known):
    if known:
        await publish(entry("0"))
    for command in STATES[state]:
        fresh.do(*command)
    with pytest.raises(QueueUnavailable, match=f"^{state}$"):
        await publish(entry("1"), entry("2"))
    heal(fresh)
    assert await publish(entry("1"), entry("2")) == [NEW, NEW]


async def test_one_stream_at_fault_does_not_stop_the_others(publish, fresh):
    fresh.do("SET", KEYS.stream("premium"), "somebody's")
    first, wrong, last = await publish(entry("1"), entry("2", tier="premium"), entry("3"))
    assert (first, last) == (NEW, NEW)
    assert isinstance(wrong, ResponseError)
    assert word(wrong) == "WRONGTYPE"
    assert not nobody_can_write(wrong)


def user_url(server, number):
    """Make a user of the document on the server; a URL with its login."""
    name, *rules = USERS[number].split()
    server.do("ACL", "SETUSER", name, "reset", *rules)
    return f"redis://{name}:PASSWORD@{HOST}:{server.port}"


async def test_the_documents_users_have_the_rights_they_need(fresh):
    gateway, core = (deployment(user_url(fresh, number), timeout=2.0) for number in (0, 1))
    link = Link(gateway, KEYS.seen, timeout=2.0)
    script = PublishScript(link, KEYS, TIERS, ("WAIT", 0, 1))
    try:
        await script.probe()
        ticket = replace(entry("1"), fields=("id", "1", "event", EVENT))
        assert await script.publish([ticket, ticket, entry("2", tier="dead")]) == [NEW, DUPLICATE, NEW]
        await consume_one(user_url(fresh, 1))
        await Trimming(gateway, [KEYS], TIERS, every=1, keep_dead=1000).trim()
        assert (await queue_depths(gateway, [KEYS], TIERS)).memory_bytes
        box = DeadLetterBox(gateway, [KEYS])
        (letter,) = await box.newest(10)
        await box.failed(letter, "still wrong")
        assert await box.count() == 1
        for redis in (gateway, core):
            client = await redis.server(KEYS.seen)
            for command in (("FLUSHALL",), ("XADD", "other", "*", "a", "b"), ("GET", "{tickets}:seen")):
                with pytest.raises(ResponseError) as refused:
                    await client.execute_command(*command)
                assert word(refused.value) == "NOPERM"
    finally:
        await link.close()
        await gateway.close()
        await core.close()


async def consume_one(url):
    """Join, read, acknowledge and leave."""
    handled = asyncio.Event()

    async def handler(delivery):
        handled.set()

    async with asyncio.timeout(20), Consumer(url, handler, timeout=2.0):
        await handled.wait()


async def test_a_missing_right_is_away_and_says_so(fresh):
    name, *rules = USERS[0].split()
    fresh.do("ACL", "SETUSER", name, "reset", *rules, "-xadd")
    redis = deployment(f"redis://{name}:PASSWORD@{HOST}:{fresh.port}")
    script = PublishScript(Link(redis, KEYS.seen, timeout=2.0), KEYS, TIERS)
    with pytest.raises(QueueUnavailable):
        await script.publish([entry("1")])
    await script.close()
    await redis.close()
