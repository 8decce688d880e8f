"""What a command says of a queue that does not answer as it should."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.queue import asking
from gateway.queue.asking import advise
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys
from tests.support import free_port


@asynccontextmanager
async def answering(answer):
    """A server that says this to every command; nothing at all where it is empty. Its URL."""

    async def serve(reader, writer):
        while await reader.read(4_096):
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"redis://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def why(url):
    """What QueueUnavailable says."""
    with pytest.raises(QueueUnavailable) as caught:
        async with asking.asking(url, Keys()):
            pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("answer", "what", "remedy"),
    [
        (b"-WRONGPASS invalid\r\n", "the queue at P refuses the login", "mend user and password in queue.url"),
        (b"-NOAUTH Authentication required.\r\n", "the queue at P refuses the login", "mend user and password"),
        (b"", "no answer in time from the queue at P (TimeoutError)", "see what keeps the server"),
    ],
)
async def test_what_is_known_is_said(monkeypatch, answer, what, remedy):
    monkeypatch.setattr(asking, "_FIRST_WORD", 0.2)
    async with answering(answer) as url:
        advice = advise(await why(url), "P")
    assert advice.what.startswith(what)
    assert advice.remedy.startswith(remedy)
    assert advice.known


async def test_nobody_there():
    advice = advise(await why(f"redis://127.0.0.1:{free_port()}"))
    assert (advice.what, advice.known) == ("no answer from the queue (ConnectionError)", False)


async def test_a_user_who_may_not_ping_is_answered(redis, valkey_url):
    await redis.execute_command("ACL", "SETUSER", "shy", "on", ">pw", "~*", "+@all", "-ping")
    try:
        async with asking.asking(valkey_url.replace("redis://", "redis://shy:pw@"), Keys()) as queue:
            assert await (await queue.server("any")).exists("any") == 0
    finally:
        await redis.execute_command("ACL", "DELUSER", "shy")


@pytest.mark.parametrize("why", ["NOPERM", "NoPermissionError"])
def test_a_right_that_is_missing_is_no_wrong_password(why):
    assert advise(why).remedy == "give the user in queue.url its rights"
