import asyncio
from contextlib import suppress

import pytest
from redis.exceptions import ResponseError

from gateway.queue.connection.deployment import deployment
from gateway.queue.connection.link import Link
from gateway.queue.entry import QueueUnavailable
from tests.gateway.servers import HOST, eventually

KEY = "{tickets}:seen"


@pytest.fixture
def server(servers):
    return servers.single()


@pytest.fixture
async def link(server):
    redis = deployment(server.url, timeout=0.2)
    link = Link(redis, KEY, timeout=2.0)
    yield link
    await link.close()
    await redis.close()


async def echo(link, word, within=0.2):
    (reply,) = await link.exchange(("ECHO", word), within=within)
    return reply


async def test_several_commands_in_one_round_trip_and_errors_are_answers(link):
    first, error, last = await link.exchange(("SET", "a", b"\xff"), ("HGET", "a", "b"), ("GET", "a"), within=2)
    assert (first, last) == (b"OK", b"\xff")
    assert isinstance(error, ResponseError)


async def test_a_connection_that_was_closed_while_idle_is_replaced_and_the_link_says_so(link, server):
    assert await echo(link, "one") == b"one"
    assert not link.resent
    server.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await echo(link, "two") == b"two"
    assert link.resent
    assert await echo(link, "three") == b"three"
    assert not link.resent


async def test_silence_is_away_and_its_late_answers_are_nobodys(link, server):
    await echo(link, "before")
    with server.stalled(), pytest.raises(QueueUnavailable, match="Timeout"):
        await link.exchange(("INCR", "sent"), within=0.2)
    assert not link.resent
    assert eventually(lambda: server.do("PING"))
    assert await echo(link, "after") == b"after"
    assert server.do("GET", "sent") == "1"


async def test_a_caller_who_leaves_takes_no_answers_with_him(link, server):
    await echo(link, "before")
    with server.stalled():
        leaving = asyncio.create_task(echo(link, "during"))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert await echo(link, "after") == b"after"


async def test_a_server_gone_is_away_and_found_again(link, server):
    await echo(link, "before")
    server.kill()
    for _ in range(2):
        with pytest.raises(QueueUnavailable):
            await echo(link, "during")
    server.start()
    assert await echo(link, "after") == b"after"


@pytest.mark.parametrize("drop", [b"", b"d"], ids=["silence", "a byte now and then"])
async def test_the_time_is_for_the_whole_exchange(drop):
    gone, closed = asyncio.Event(), asyncio.Event()

    async def trickle(reader, writer):
        writer.write(b"+OK\r\n$1000000\r\n")  # to the name we give the connection, and the head of an answer
        while not reader.at_eof() and not gone.is_set():
            writer.write(drop)
            await asyncio.sleep(0.01)
        writer.close()
        with suppress(ConnectionError):  # the other side left in the middle of it
            await writer.wait_closed()
        closed.set()

    front = await asyncio.start_server(trickle, HOST, 0)
    redis = deployment(f"redis://{HOST}:{front.sockets[0].getsockname()[1]}", timeout=0.5)
    link = Link(redis, KEY, timeout=2.0)
    async with asyncio.timeout(20):
        with pytest.raises(QueueUnavailable, match="Timeout"):
            await echo(link, "word", within=0.5)
        gone.set()
        await closed.wait()
    await link.close()
    await redis.close()
    front.close()


async def test_an_error_on_the_way_in_is_told_by_the_servers_word(server):
    server.do("CONFIG", "SET", "requirepass", "secret")
    redis = deployment(f"redis://:wrong@{HOST}:{server.port}")
    with pytest.raises(QueueUnavailable, match=r"^WRONGPASS$"):
        await Link(redis, KEY, timeout=2.0).exchange(("PING",), within=2)
    await redis.close()
