"""One real server for every test that needs a queue."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from gateway.queue.embedded import EmbeddedOptions, embedded
from tests.support import free_port


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
