"""One real server for every test that needs a queue."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from gateway.queue.connection.deployment import deployment
from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from gateway.queue.keys import partitions
from gateway.queue.publisher import publishing
from gateway.queue.spool.spool import SpoolLimits, open_spool
from tests.gateway.publishing import TIERS, Told
from tests.gateway.servers import Servers
from tests.support import free_port

if TYPE_CHECKING:
    from tests.gateway.s3_server import S3Server


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that lives as long as the session."""
    options = EmbeddedOptions(tmp_path_factory.mktemp("valkey"), free_port(), fsync="everysec")
    # A loop of its own: the loops of the tests come and go.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        context = embedded(options)
        server = runner.run(context.__aenter__())
        yield server.url
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    """A client of the session's server, which is empty when the test begins."""
    async with Redis.from_url(valkey_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Starts more servers; they are stopped when the test ends."""
    servers = Servers(tmp_path / "servers")
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator["S3Server"]:
    """An S3 server that lives as long as the session."""
    from tests.gateway.s3_server import S3Server  # a third of a second, for those who need it

    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: "S3Server") -> "S3Server":
    """The session's S3 server, which is empty when the test begins."""
    s3_server.empty()
    return s3_server


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def start(tmp_path, told):
    """Make a publisher with a spool of its own; both are closed when the block ends."""

    @asynccontextmanager
    async def start(url, *, count=1, limits=None, timeout=0.5, bounds=None, wait=None):
        redis = deployment(url, timeout=timeout)
        spool = open_spool(
            tmp_path / "spool",
            partitions=count,
            limits=limits or SpoolLimits(min_free=0),
            on_event=lambda event, entries: told.spool.append(event),
        )
        async with spool as kept:
            publisher = publishing(
                redis,
                partitions("tickets", count),
                TIERS,
                kept,
                timeout=timeout,
                bounds=bounds,
                wait=wait,
                on_batch=told.batches,
                on_link=lambda up, why: told.links.append((up, why)),
                on_poison=told.poison.append,
            )
            async with publisher as started:
                started.spool = kept  # type: ignore[attr-defined]
                yield started
        await redis.close()

    return start


@pytest.fixture
async def publisher(start, valkey_url, redis):
    async with start(valkey_url) as publisher:
        yield publisher
