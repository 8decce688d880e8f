"""What harms a stock aiosmtpd, and not this server: the same client before both, and what each makes of it.

Every test is one line of a table of hazards. It asserts that the stock server still falls for it, so that a line can go
once the library needs it no more.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from channels.email.smtp import proxied
from channels.testing_host import FakeHost
from tests.channels.email_door import ACCEPTED, MAIL, PATIENCE, Client, listening, stuffed
from tests.channels.test_email_tls import Papers

SECRET = "password=hunter2"


class Plain:
    """A handler as the library's guide writes it."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.finished = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.fails = False
        self.peers: list[Any] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.fails:
            raise ConnectionError(SECRET)
        self.envelopes.append(envelope)
        self.peers.append(session.peer)
        self.begun.set()
        await self.go_on.wait()
        self.finished += 1
        return "250 OK"


class Broken(FakeHost):
    async def intake(self, payload: Any, /) -> Any:
        raise ConnectionError(SECRET)


@asynccontextmanager
async def stock(
    handler: Plain | None = None, **options: Any
) -> AsyncIterator[tuple[Callable[[], Awaitable[Client]], Plain]]:
    """The library's server as its `Controller` makes it, in this loop and not in a thread of its own."""
    plain = handler or Plain()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(plain, enable_SMTPUTF8=True, hostname="stock.example", **options), "127.0.0.1", 0
    )
    clients: list[Client] = []

    async def connect() -> Client:
        client = Client(*await asyncio.open_connection(*server.sockets[0].getsockname()))
        clients.append(client)
        return client

    try:
        yield connect, plain
    finally:
        plain.go_on.set()
        for client in clients:
            client.writer.transport.abort()
        server.close()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", "mail.log")


async def greeted(connect: Callable[[], Awaitable[Client]]) -> Client:
    client = await connect()
    await client.reply()
    assert (await client.say("EHLO client.example"))[:3] == "250"
    return client


async def transaction(client: Client, message: bytes) -> str:
    await client.say("MAIL FROM:<a@b.example>")
    await client.say("RCPT TO:<support@example.com>")
    await client.say("DATA")
    client.send(stuffed(message))
    return await client.reply()


async def test_an_exception_is_a_bounce_that_quotes_it():
    handler = Plain()
    handler.fails = True
    async with stock(handler) as (connect, _):
        said = await transaction(await greeted(connect), MAIL)
    assert said == f"500 Error: (ConnectionError) {SECRET}"
    async with listening(Broken("support")) as server:
        said = await transaction(await server.client(), MAIL)
    assert said == "451 4.3.0 cannot take the message now, try again later"


@pytest.mark.parametrize("length", [5_000, 1_000_000])
async def test_long_lines_are_a_bounce(length: int):
    message = b"Subject: long\r\n\r\n" + b"x" * length + b"\r\n"
    async with stock() as (connect, handler):
        assert (await transaction(await greeted(connect), message))[:3] == "500"
        assert handler.envelopes == []
    async with listening() as server:
        assert await transaction(await server.client(), message) == ACCEPTED
    assert server.contents == [message]


async def test_a_client_that_hangs_up_behind_the_dot_takes_its_mail_with_it():
    async def hang_up(client: Client) -> None:
        await client.begin()
        client.send(stuffed(MAIL))

    async with stock() as (connect, handler):
        handler.go_on.clear()
        client = await greeted(connect)
        await hang_up(client)
        await asyncio.wait_for(handler.begun.wait(), PATIENCE)
        sessions = [task for task in asyncio.all_tasks() if "_handle_client" in repr(task.get_coro())]
        client.writer.close()
        await asyncio.wait(sessions, timeout=PATIENCE)  # cancelled, though the mail was in hand
        assert all(task.cancelled() for task in sessions)
        assert handler.finished == 0
    async with listening() as server:
        server.host.go_on.clear()
        client = await server.client()
        await hang_up(client)
        await asyncio.wait_for(server.host.handed_over.wait(), PATIENCE)
        client.writer.close()
        await client.writer.wait_closed()
        server.host.go_on.set()
        await server.close()
        assert server.host.finished == 1


async def test_a_sender_who_is_still_sending_is_cut():
    async def slowly(client: Client) -> str:
        await client.begin()
        for _ in range(8):
            client.send(b"x" * 98 + b"\r\n")
            await asyncio.sleep(0.05)
        client.send(b".\r\n")
        return await client.reply()

    async with stock(timeout=0.2) as (connect, handler):
        try:
            said = await slowly(await greeted(connect))
        except ConnectionError:
            said = ""
        assert said == ""
        assert handler.envelopes == []
    async with listening(idle_timeout="200ms", minimum_rate=100) as server:
        assert await slowly(await server.client()) == ACCEPTED


async def test_recipients_have_no_number():
    async def ask(client: Client) -> set[str]:
        await client.say("MAIL FROM:<a@b.example>")
        client.send(b"".join(b"RCPT TO:<support+%d@example.com>\r\n" % number for number in range(150)))
        return {(await client.reply())[:3] for _ in range(150)}

    async with stock() as (connect, _):
        assert await ask(await greeted(connect)) == {"250"}
    async with listening() as server:
        assert await ask(await server.client()) == {"250", "452"}


async def test_connections_have_no_number():
    async with stock() as (connect, _):
        assert {(await (await connect()).reply())[:3] for _ in range(40)} == {"220"}
    async with listening(max_connections=20) as server:
        said = [(await server.connect())[1][:9] for _ in range(40)]
    assert said == ["220 mail."] * 20 + ["421 4.7.0"] * 20


async def test_errors_have_no_number():
    async def err(client: Client) -> list[str]:
        client.send(b"RCPT TO:<x@example.com>\r\n" * 30)
        return [(await client.reply())[:3] for _ in range(21)]

    async with stock() as (connect, _):
        assert await err(await greeted(connect)) == ["503"] * 21
    async with listening() as server:
        assert await err(await server.client()) == ["503"] * 19 + ["421", ""]


async def test_auth_is_offered_to_everybody_once_there_is_tls(tmp_path: Path):
    papers = Papers(tmp_path)

    async def offers(client: Client) -> str:
        assert (await client.say("STARTTLS"))[:3] == "220"
        await client.writer.start_tls(papers.context(), server_hostname="127.0.0.1")
        return await client.say("EHLO x")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.certificate, papers.key)
    async with stock(tls_context=context) as (connect, _):
        assert "AUTH LOGIN PLAIN" in await offers(await greeted(connect))
    async with listening(**papers.settings()) as server:
        assert "AUTH" not in await offers(await server.client())


async def test_pipelining_and_enhanced_codes_are_not_told():
    async with stock() as (connect, _):
        client = await connect()
        await client.reply()
        told = await client.say("EHLO x")
    assert "PIPELINING" not in told
    assert "ENHANCEDSTATUSCODES" not in told
    async with listening() as server:
        client, _ = await server.connect()
        told = await client.say("EHLO x")
    assert {"250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8", "250 ENHANCEDSTATUSCODES"} <= set(told.splitlines())


async def test_the_empty_sender_is_an_address():
    async with stock() as (connect, handler):
        client = await greeted(connect)
        await client.say("MAIL FROM:<>")
        await client.say("RCPT TO:<support@example.com>")
        await client.say("DATA")
        client.send(stuffed(MAIL))
        await client.reply()
        assert [envelope.mail_from for envelope in handler.envelopes] == ["<>"]
    async with listening() as server:
        await (await server.client()).deliver(sender="<>")
    assert [mail.mail_from for mail in server.host.payloads] == [""]


async def test_anybody_may_say_for_whom_he_comes(monkeypatch: pytest.MonkeyPatch):
    header = b"PROXY TCP4 198.51.100.7 192.0.2.1 40000 25\r\n"

    class Believing(Plain):
        async def handle_PROXY(self, server: SMTP, session: Session, envelope: Envelope, data: Any) -> bool:
            session.peer = str(data.src_addr)  # as the library's guide does
            return True

    handler = Believing()
    async with stock(handler, proxy_protocol_timeout=5.0) as (connect, _):
        client = await connect()
        client.send(header)
        await client.reply()
        await client.say("EHLO x")
        assert (await transaction(client, MAIL))[:3] == "250"
        assert handler.peers == ["198.51.100.7"]
    async with listening(proxy_protocol_from=["10.0.0.0/8"]) as server:
        client, _ = await server.connect()
        client.send(header)
        assert (await client.reply())[:9] == "500 5.5.2"
    assert proxied.Balancers([]).has("127.0.0.1") is False


async def test_bare_line_feeds_reach_whoever_comes_next():
    message = b"Subject: x\r\n\r\nfirst\n.\nsecond\rthird\r\n"
    async with stock() as (connect, handler):
        await transaction(await greeted(connect), message)
        assert [envelope.content for envelope in handler.envelopes] == [message]
    async with listening() as server:
        await transaction(await server.client(), message)
    assert server.contents == [b"Subject: x\r\n\r\nfirst\r\n.\r\nsecond\r\nthird\r\n"]


async def test_a_mail_that_goes_round_goes_on():
    message = b"Received: x\r\n" * 51 + MAIL
    async with stock() as (connect, _):
        assert (await transaction(await greeted(connect), message))[:3] == "250"
    async with listening() as server:
        assert (await transaction(await server.client(), message))[:9] == "554 5.4.6"


async def test_mail_for_anybody_is_taken():
    async with stock() as (connect, _):
        client = await greeted(connect)
        await client.say("MAIL FROM:<a@b.example>")
        assert (await client.say("RCPT TO:<anybody@elsewhere.example>"))[:3] == "250"
    async with listening() as server:
        client = await server.client()
        await client.say("MAIL FROM:<a@b.example>")
        assert (await client.say("RCPT TO:<anybody@elsewhere.example>"))[:9] == "550 5.7.1"


async def test_the_greeting_names_machine_and_software():
    async with stock() as (connect, _):
        assert "Python SMTP" in await (await connect()).reply()
    async with listening() as server:
        assert (await server.connect())[1] == "220 mail.gateway ESMTP"


async def test_a_large_mail_is_held_in_memory():
    message = b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20_000
    async with stock() as (connect, handler):
        await transaction(await greeted(connect), message)
        assert isinstance(handler.envelopes[0].content, bytes)
        assert len(handler.envelopes[0].content) == len(message)
    async with listening() as server:
        assert await transaction(await server.client(), message) == ACCEPTED
    assert [(mail.content, bool(mail.file)) for mail in server.host.payloads] == [(b"", True)]
    assert server.contents == [message]
