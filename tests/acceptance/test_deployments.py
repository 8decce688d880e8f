"""Under load, through what deployments go through: every entry accepted is on the streams once, none twice."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from redis.crc import key_slot

from gateway.queue.connection.waiting import wait_command
from gateway.queue.entry import Published
from gateway.queue.keys import partitions
from tests.gateway.publishing import TIERS, entry
from tests.gateway.servers import HOST, MASTER, Server, eventually, migrate, owner

PRODUCERS = 8
ENOUGH = 300
"""Entries in a phase of the load: before, during and after what happens."""


class Load:
    """Producers that send one entry after the other, every tenth twice, and remember what was accepted."""

    def __init__(self, publisher):
        self._publisher = publisher
        self.accepted: list[str] = []

    @asynccontextmanager
    async def running(self):
        stop = asyncio.Event()
        producers = [asyncio.create_task(self._produce(str(number), stop)) for number in range(PRODUCERS)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*producers)

    async def _produce(self, name, stop):
        number = 0
        while not stop.is_set():
            key = f"{name}-{number}"
            one = entry(key, tier=TIERS[number % len(TIERS)], conversation=f"{name}-{number % 20}")
            assert await self._publisher.publish(one) in Published
            self.accepted.append(key)
            if number % 10 == 0:
                assert await self._publisher.publish(one) in Published
            number += 1
            await asyncio.sleep(0.001)  # a vendor, not a benchmark

    async def more(self, entries=ENOUGH):
        """Return once so many more have been accepted."""
        enough = len(self.accepted) + entries
        async with asyncio.timeout(60):
            while len(self.accepted) < enough:  # noqa: ASYNC110 - what is waited for is many tasks' work
                await asyncio.sleep(0.005)


async def drained(publisher):
    """Return once the server is back and nothing waits for it."""
    async with asyncio.timeout(60):
        while publisher.spool.entries or not publisher.up:  # noqa: ASYNC110 - other tasks' work
            await asyncio.sleep(0.01)


def kept(servers: list[Server], count: int = 1) -> Counter[str]:
    """How often each id is on the streams, of every partition."""
    found: Counter[str] = Counter()
    for server in servers:
        for keys in partitions("tickets", count):
            if count > 1 and owner(servers, key_slot(keys.seen.encode())) is not server:
                continue
            for tier in TIERS:
                found.update(fields["id"] for _, fields in server.do("XRANGE", keys.stream(tier), "-", "+"))
    return found


def one_of_each(load, found):
    ledger = set(load.accepted)
    assert len(ledger) == len(load.accepted)
    assert not ledger - set(found), "lost"
    assert not [id for id, times in found.items() if times > 1], "doubled"
    assert not set(found) - ledger, "never accepted"


@contextmanager
def killed(master: Server) -> Iterator[None]:
    master.kill()
    yield


@pytest.mark.parametrize("lost", [killed, Server.stalled], ids=["killed", "silent"])
async def test_a_master_lost_under_load_loses_and_doubles_nothing(servers, start, told, lost):
    master = servers.single()
    replicas = [await asyncio.to_thread(servers.replica, master) for _ in range(2)]
    sentinels = await asyncio.to_thread(servers.sentinels, master, replicas=2)
    places = ",".join(f"{HOST}:{sentinel.port}" for sentinel in sentinels)
    # A replica must have it: what a master alone has accepted dies with it.
    wait = wait_command(1, False, 0.5)
    async with start(f"redis+sentinel://{places}/{MASTER}", timeout=0.5, wait=wait) as publisher:
        load = Load(publisher)
        async with load.running():
            await load.more()
            with lost(master):
                await load.more()  # into the spool
                await drained(publisher)
                assert "spool.started" in told.spool
                await load.more()  # to the new master, past the spool
        await drained(publisher)
    assert told.links[-1] == (True, "")
    _, port = sentinels[0].do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
    one_of_each(load, kept([server for server in (master, *replicas) if server.port == int(port)]))


@pytest.fixture
async def cluster(servers):
    return await asyncio.to_thread(servers.cluster)


PARTITIONS = 4


async def test_slots_that_move_under_load_lose_and_double_nothing(cluster, start, told):
    nodes = ",".join(f"{HOST}:{node.port}" for node in cluster)
    slots = [key_slot(keys.seen.encode()) for keys in partitions("tickets", PARTITIONS)]
    async with start(f"redis+cluster://{nodes}", count=PARTITIONS, timeout=1.0) as publisher:
        load = Load(publisher)
        loop = asyncio.get_running_loop()

        def meanwhile():
            """Between one key and the next: the slot is in two places, and messages come in."""
            asyncio.run_coroutine_threadsafe(load.more(20), loop).result()

        async with load.running():
            await load.more()
            for turn in range(2):
                for number, slot in enumerate(slots):
                    source = owner(cluster, slot)
                    target = next(node for node in cluster[number + turn :] + cluster if node is not source)
                    await asyncio.to_thread(migrate, cluster, slot, target, meanwhile)
            await drained(publisher)
            await load.more()
        await drained(publisher)
    assert {"ASK", "TRYAGAIN", "MOVED"} & {why for up, why in told.links if not up}
    one_of_each(load, kept(cluster, PARTITIONS))


async def test_a_cluster_node_killed_under_load_loses_and_doubles_nothing(servers, start, told):
    cluster = await asyncio.to_thread(servers.cluster, replicas=1)
    masters = [node for node in cluster if node.do("ROLE")[0] == "master"]
    victim = owner(masters, key_slot(b"{tickets:0}"))
    assert victim is not None
    async with start(
        f"redis+cluster://{HOST}:{victim.port}", count=PARTITIONS, timeout=0.5, wait=wait_command(1, False, 0.5)
    ) as publisher:
        load = Load(publisher)
        async with load.running():
            await load.more()
            victim.kill()
            await load.more()
            rest = [node for node in cluster if node is not victim]
            await asyncio.to_thread(eventually, lambda: owner(rest, key_slot(b"{tickets:0}")))
            await asyncio.to_thread(victim.start)  # as the replica of its replica: WAIT has somebody to wait for again
            await drained(publisher)
            await load.more()
        await drained(publisher)
    assert "spool.started" in told.spool
    one_of_each(load, kept([node for node in cluster if node.do("ROLE")[0] == "master"], PARTITIONS))
