"""How sessions begin and end: who hangs up, who is cut, and what becomes of the message in hand."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop

from channels.email.adapter import EmailAdapter
from channels.email.settings import EmailSettings
from channels.email.smtp import listener
from channels.email.smtp.session import SmtpSession
from channels.testing_host import FakeHost
from tests.channels.email_door import ACCEPTED, ID, MAIL, PATIENCE, Listening, listening, stuffed


@pytest.fixture
async def server() -> AsyncIterator[Listening]:
    async with listening() as server:
        yield server


async def test_hang_up_while_the_message_is_taken_in(server: Listening):
    server.host.go_on.clear()
    client = await server.client()
    await client.begin()
    client.send(stuffed(MAIL))
    await asyncio.wait_for(server.host.handed_over.wait(), PATIENCE)
    client.writer.transport.abort()
    await client.writer.wait_closed()
    server.host.go_on.set()
    await server.close()
    assert (server.contents, server.host.finished) == ([MAIL], 1)


async def test_hang_up_together_with_the_dot(server: Listening):
    client = await server.client()
    await client.begin()
    client.send(stuffed(MAIL))
    client.writer.close()
    await asyncio.wait_for(server.host.handed_over.wait(), PATIENCE)
    await server.close()
    assert (server.contents, server.host.finished) == ([MAIL], 1)


class Wire(asyncio.Transport):
    """A connection that loses what the test says, when it says."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.asked, self.closed = asyncio.Event(), asyncio.Event()

    def write(self, data: Any) -> None:
        self.written += data
        if b"354 end with" in data:
            self.asked.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()

    abort = close


@pytest.fixture
async def in_data() -> AsyncIterator[tuple[SmtpSession, Wire, FakeHost]]:
    """A session whose message is due."""
    host = FakeHost("support")
    given = {"type": "email", "recipients": ["support@example.com"], "idle_timeout": "50ms"}
    adapter = EmailAdapter(EmailSettings.model_validate(given), host)
    assert adapter.listener is not None
    session, wire = SmtpSession(adapter.listener.desk()), Wire()
    session.connection_made(wire)
    session.data_received(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n")
    await asyncio.wait_for(wire.asked.wait(), PATIENCE)
    yield session, wire, host
    wire.close()
    if not session.task.done():
        session.connection_lost(None)
    await asyncio.wait_for(session.task, PATIENCE)


async def test_reset_right_behind_the_dot(in_data: tuple[SmtpSession, Wire, FakeHost]):
    session, wire, host = in_data
    session.data_received(stuffed(MAIL))
    wire.close()
    session.connection_lost(ConnectionResetError())
    await asyncio.wait_for(session.task, PATIENCE)
    assert [mail.content for mail in host.payloads] == [MAIL]


async def test_client_that_does_not_read_the_last_reply_is_cut(in_data: tuple[SmtpSession, Wire, FakeHost]):
    session, wire, host = in_data
    session.pause_writing()
    session.data_received(stuffed(MAIL))
    await asyncio.wait_for(host.handed_over.wait(), PATIENCE)
    await asyncio.wait_for(wire.closed.wait(), PATIENCE)
    assert wire.written.endswith(b"250 2.0.0 accepted " + ID.encode() + b"\r\n421 4.4.2 timed out, goodbye\r\n")


async def test_hang_up_before_the_dot_hands_nothing_over(server: Listening):
    client = await server.client()
    await client.begin()
    client.send(MAIL)
    client.writer.close()
    await client.writer.wait_closed()
    await server.close()
    assert server.contents == []


async def test_intake_that_takes_too_long_is_finished_all_the_same():
    async with listening(accept_timeout="20ms") as server:
        server.host.go_on.clear()
        client = await server.client()
        assert (await client.deliver())[:9] == "451 4.3.0"
        assert await client.say("NOOP") == "250 2.0.0 ok"
        assert (await client.say("QUIT"))[:3] == "221"
        closing = asyncio.create_task(server.close())
        done, _ = await asyncio.wait({closing}, timeout=0.05)
        assert not done
        server.host.go_on.set()
        await closing
        assert (server.contents, server.host.finished) == ([MAIL], 1)


async def test_shutdown_ends_the_idle_finishes_the_begun_and_takes_nothing_new(server: Listening):
    idle, busy = await server.client(), await server.client()
    await busy.begin()
    busy.send(b"Subject: half")
    closing = asyncio.create_task(server.close())
    assert await idle.reply() == "421 4.3.2 shutting down, try again later"
    assert await idle.reply() == ""
    with pytest.raises(ConnectionRefusedError):
        await server.connect()
    assert not closing.done()
    busy.send(b" way\r\n\r\n.\r\n")
    assert await busy.reply() == ACCEPTED
    assert await busy.reply() == "421 4.3.2 shutting down, try again later"
    await closing
    assert server.contents == [b"Subject: half way\r\n\r\n"]


async def test_shutdown_does_not_wait_for_ever(server: Listening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listener, "DRAIN_TIMEOUT", 0.02)
    client = await server.client()
    await client.begin()
    await server.close()
    assert await asyncio.wait_for(client.reader.read(), PATIENCE) == b""


async def test_mail_in_hand_has_no_more_time_than_the_rest(server: Listening, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listener, "DRAIN_TIMEOUT", 0.02)
    server.host.go_on.clear()
    client = await server.client()
    await client.begin()
    client.send(stuffed(MAIL))
    await asyncio.wait_for(server.host.handed_over.wait(), PATIENCE)
    await server.close()
    assert await asyncio.wait_for(client.reader.read(), PATIENCE) == b""


async def test_impatient_shutdown_hangs_up_all_the_same(server: Listening):
    client = await server.client()
    await client.begin()
    closing = asyncio.create_task(server.close())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(closing), 0.02)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert await asyncio.wait_for(client.reader.read(), PATIENCE) == b""


async def test_taken_port_is_said_in_words(server: Listening):
    listen = "{}:{}".format(*server.adapter.address)
    second = Listening({"listen": listen}, FakeHost("other"))
    with pytest.raises(OSError, match=f"^{listen} is taken"):
        await second.open()


async def test_ipv6():
    async with listening(listen="[::1]:0") as server:
        assert await (await server.client()).deliver() == ACCEPTED


def test_the_same_on_uvloop():
    async def scenario() -> None:
        async with listening(idle_timeout="100ms") as server:
            client = await server.client()
            assert await client.deliver(b"x" * 1_000_000 + b"\r\n") == ACCEPTED
            assert await client.reply() == "421 4.4.2 timed out, goodbye"
            assert await client.reply() == ""
            idle = await server.client()
            await server.close()
            assert await idle.reply() == "421 4.3.2 shutting down, try again later"

    uvloop.run(scenario())
