import pytest

from gateway.queue.connection.deployment import deployment
from gateway.queue.cursors import Cursors, CursorUnavailable
from gateway.queue.keys import Keys
from tests.support import free_port


async def test_a_cursor_is_where_it_was_moved_last(valkey_url: str):
    redis = deployment(valkey_url)
    try:
        cursors = Cursors(redis, Keys(prefix="cursor-test"), timeout=5)
        support, billing = cursors.of("support"), cursors.of("billing")
        assert await support.read() is None
        await support.move("7:100")
        await support.move("7:101")
        assert await Cursors(redis, Keys(prefix="cursor-test"), timeout=5).of("support").read() == "7:101"
        assert await billing.read() is None
    finally:
        await redis.close()


async def test_nobody_guesses_where_it_is_while_the_server_is_away():
    redis = deployment(f"redis://127.0.0.1:{free_port()}")
    try:
        cursor = Cursors(redis, Keys(prefix="cursor-test"), timeout=5).of("support")
        with pytest.raises(CursorUnavailable):
            await cursor.read()
        with pytest.raises(CursorUnavailable):
            await cursor.move("7:101")
    finally:
        await redis.close()
