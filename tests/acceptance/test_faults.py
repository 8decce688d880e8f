"""Every fault one machine can make, under load, with real processes: what was accepted arrives, once.

Between the gateway and its Redis stands a proxy of ours; the clients try each message again until they hear yes.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Gateway
from tests.acceptance.load import Load, all_there, fields
from tests.gateway.proxy import Proxy, proxy
from tests.gateway.servers import Server, Servers
from tests.support import until

SOME = 150
"""Messages that make a load: a few hundred milliseconds of it."""


@dataclass
class Scene:
    """A gateway, the proxy it speaks to, the server behind that, and the senders in front."""

    gateway: Gateway
    between: Proxy
    server: Server
    load: Load

    async def drained(self) -> None:
        """Return once everything that was accepted is on the streams."""
        with self.server.client(decode_responses=True) as redis:
            await until(lambda: all_there(redis, self.load.ledger), within=60)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        assert "CI" not in os.environ, made.stderr
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def clock(tmp_path: Path):
    """A clock that a process can be started with, and that can be set while it runs."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        assert "CI" not in os.environ, "libfaketime is not installed"
        pytest.skip("libfaketime is not installed")
    offset = tmp_path / "offset"
    offset.write_text("+0")
    environ = {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return offset, environ


@pytest.fixture
def scene(new_gateway: Callable[[], Gateway], servers: Servers):
    """Enter it to start everything; leaving it compares the ledger."""

    @asynccontextmanager
    async def scene(**settings: Any) -> AsyncIterator[Scene]:
        server = servers.single(appendonly="yes", appendfsync="everysec")
        gateway = new_gateway()
        async with AsyncExitStack() as stack:
            between = await stack.enter_async_context(proxy(server.port))
            gateway.environ |= settings.pop("environ", {})
            gateway.configure(queue=between.url, **settings)
            await asyncio.to_thread(gateway.start)
            load = Load(gateway.url, gateway.smtp)
            made = Scene(gateway, between, server, load)
            async with load.running():
                await load.more(SOME)
                yield made
            await made.drained()
            with server.client(decode_responses=True) as redis:
                load.ledger.compare(redis)

    return scene


async def test_redis_is_killed_and_comes_back(scene):
    async with scene() as now:
        now.server.kill()
        await now.load.more(SOME)  # the spool takes them
        await asyncio.to_thread(now.server.start)
        await now.load.more(SOME)
        assert now.load.ledger.deferred == 0


async def test_redis_is_stopped_for_five_seconds(scene):
    async with scene() as now:
        with now.server.stalled():
            await now.load.more(SOME)
            await asyncio.sleep(5)  # the fault itself
        await now.load.more(SOME)
        assert now.load.ledger.deferred == 0


async def test_the_connection_is_cut_in_the_middle_of_an_answer(scene):
    """The answer is lost after the write: nobody must get it twice."""
    cuts = 0

    def cut_some(data: bytes) -> bytes | None:
        nonlocal cuts
        if picks.random() < 0.1:
            cuts += 1
            return None
        return data

    picks = random.Random(3)
    async with scene() as now:
        now.between.answers = cut_some
        await now.load.more(3 * SOME)
        now.between.answers = bytes
        assert cuts
        assert now.load.ledger.deferred == 0


async def test_redis_answers_a_byte_a_second(scene):
    async with scene() as now:
        now.between.trickle = 1.0
        await now.load.more(SOME)
        now.between.trickle = None
        now.between.cut()
        await now.load.more(SOME)
        assert now.load.ledger.deferred == 0


async def test_packets_vanish(scene):
    async with scene() as now:
        now.between.hole = True
        await now.load.more(SOME)
        now.between.hole = False
        now.between.cut()
        await now.load.more(SOME)
        assert now.load.ledger.deferred == 0


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
        (("ACL", "SETUSER", "default", "-@write"), ("ACL", "SETUSER", "default", "+@all")),
    ],
    ids=["out-of-memory", "read-only", "no-replicas", "no-permission"],
)
async def test_redis_refuses_to_write(scene, break_it, mend_it):
    async with scene() as now:
        await asyncio.to_thread(now.server.do, *break_it)
        await now.load.more(SOME)
        await asyncio.to_thread(now.server.do, *mend_it)
        await now.load.more(SOME)
        assert now.load.ledger.deferred == 0


async def test_the_gateway_is_killed_twenty_times(scene):
    picks = random.Random(7)
    async with scene() as now:
        for n in range(20):
            if n == 10:
                now.between.hole = True  # the second half with its Redis away
                now.between.cut()
            await now.load.more(picks.randrange(5, 60))
            await asyncio.to_thread(now.gateway.stop, signal.SIGKILL)
            await asyncio.to_thread(now.gateway.start)
        now.between.hole = False
        now.between.cut()
        await now.load.more(SOME)


async def test_sigterm_under_load_ends_in_time_and_loses_nothing(scene):
    async with scene() as now:
        for _ in range(3):
            await now.load.more(SOME)
            assert await asyncio.to_thread(now.gateway.stop) == 0
            await asyncio.to_thread(now.gateway.start)


async def test_what_was_spooled_survives_a_stop_and_is_drained_by_the_next_start(scene):
    async with scene() as now:
        now.between.hole = True
        await now.load.more(SOME)
        assert await asyncio.to_thread(now.gateway.stop) == 0
        now.between.hole = False
        await asyncio.to_thread(now.gateway.start)
        await now.load.more(SOME)


async def test_the_disk_of_the_spool_is_full(scene, small_disk):
    """The senders are told to come again, and nothing that was spooled before is lost."""
    async with scene(spool=small_disk / "spool") as now:
        now.between.hole = True
        now.between.cut()
        (small_disk / "others").write_bytes(bytes(11 * 2**20))
        await until(lambda: now.load.ledger.deferred > 20, within=60)
        now.between.hole = False
        now.between.cut()
        await now.load.more(SOME)


async def test_the_clock_steps_back(scene, clock):
    offset, environ = clock
    async with scene(environ=environ) as now:
        offset.write_text("-3d")
        await now.load.more(SOME)
        now.between.hole = True
        now.between.cut()
        await now.load.more(SOME)
        offset.write_text("-5d")
        now.between.hole = False
        now.between.cut()
        await now.load.more(SOME)
        with now.server.client(decode_responses=True) as redis:
            events = [json.loads(event) for event in fields(redis, "event")]
        earliest = min(datetime.fromisoformat(event["data"]["received_at"]) for event in events)
        assert datetime.now(UTC) - earliest > timedelta(days=4)  # the gateway did see another clock


async def test_two_gateways_share_one_redis(scene, new_gateway):
    async with scene() as now:
        other = new_gateway()
        other.configure(queue=now.server.url)
        await asyncio.to_thread(other.start)
        # The same messages by another way in: one of each.
        twin = Load(other.url, other.smtp)
        twin.ledger = now.load.ledger
        async with twin.running():
            await now.load.more(3 * SOME)
            now.between.hole = True
            await now.load.more(SOME)
            now.between.hole = False
            now.between.cut()
        assert max(now.load.ledger.accepted.values()) > 1
