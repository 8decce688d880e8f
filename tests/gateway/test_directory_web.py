"""Why a source cannot be reached is said without an address: it goes to the log."""

import aiohttp
import pytest

from gateway.directory import web
from tests.support import free_port


async def test_a_refused_connection_is_said_without_the_address():
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(f"http://127.0.0.1:{free_port()}/")
    assert "127.0.0.1" in str(caught.value)
    assert web._words(caught.value) == "cannot connect: Connection refused"
