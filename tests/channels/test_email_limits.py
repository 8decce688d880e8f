"""The SMTP server's limits: of size, of number and of time."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiosmtpd.smtp import SMTP

from channels.api import Refusal
from channels.email.smtp import connection, replies
from channels.email.smtp.commands import COMMANDS, LONGEST_ODD
from channels.email.smtp.mailboxes import Mailboxes, NotOurs, canonical
from tests.channels.email_door import ACCEPTED, MAIL, PATIENCE, Listening, listening, stuffed


@pytest.fixture
async def server() -> AsyncIterator[Listening]:
    async with listening() as server:
        yield server


async def test_hundred_recipients_are_taken_and_the_rest_put_off():
    addresses = [f"support+{number}@example.com" for number in range(130)]
    async with listening() as server:
        client = await server.client()
        await client.say("MAIL FROM:<a@b.example>")
        said = [(await client.say(f"RCPT TO:<{address}>"))[:9] for address in addresses]
        assert said == ["250 2.1.5"] * 100 + ["452 4.5.3"] * 30
        await client.say("DATA")
        client.send(stuffed(MAIL))
        assert await client.reply() == ACCEPTED
    assert server.host.payloads[0].recipients == tuple(addresses[:100])
    assert server.host.refusals == [(Refusal.TOO_MANY, "too many recipients")]


async def test_size_announced_too_big_is_refused_at_once():
    async with listening(max_size="10kb") as server:
        client = await server.client()
        assert (await client.say("MAIL FROM:<a@b.example> SIZE=10001"))[:9] == "552 5.3.4"
        assert await client.deliver(sender="<a@b.example> SIZE=10000") == ACCEPTED
    assert server.host.refusals == [(Refusal.OVERSIZED, "message announced too big")]


async def test_size_that_shows_only_while_streaming_is_refused_and_the_session_goes_on():
    async with listening(max_size="10kb") as server:
        client = await server.client()
        assert (await client.deliver(b"x" * 9_999 + b"\r\n"))[:9] == "552 5.3.4"
        assert await client.deliver(b"x" * 9_998 + b"\r\n") == ACCEPTED
    assert [len(content) for content in server.contents] == [10_000]
    assert server.host.refusals == [(Refusal.OVERSIZED, "message too big")]


async def test_sender_who_goes_on_and_on_is_cut():
    async with listening(max_size="10kb") as server:
        client = await server.client()
        await client.begin()
        client.send(b"x" * 20_001)
        assert (await client.reply())[:9] == "421 4.7.0"
        assert await client.reply() == ""
    assert server.contents == []


async def test_no_memory_left_is_try_again_later_and_is_given_back():
    async with listening(max_memory="10kb") as server:
        waiting = await server.client()
        await waiting.begin()
        waiting.send(b"x" * 6000)
        client = await server.client()
        assert await client.deliver() == ACCEPTED
        assert (await client.deliver(b"x" * 8000 + b"\r\n"))[:9] == "451 4.3.0"
        waiting.send(b"\r\n.\r\n")
        assert await waiting.reply() == ACCEPTED
        assert await client.deliver(b"x" * 8000 + b"\r\n") == ACCEPTED


async def test_mail_in_hand_counts_until_it_is_taken_in_whatever_the_sender_was_told():
    big = b"x" * 8000 + b"\r\n"
    async with listening(max_memory="20kb", accept_timeout="20ms") as server:
        server.host.go_on.clear()
        client = await server.client()
        for _ in range(5):
            assert (await client.deliver(big))[:9] == "451 4.3.0"
        assert server.contents == [big, big]
        server.host.go_on.set()
        assert await client.deliver(big) == ACCEPTED
        assert await client.deliver(big) == ACCEPTED


async def test_mail_that_grows_when_its_line_ends_are_mended_counts_as_grown():
    async with listening(max_memory="20kb") as server:
        client = await server.client()
        assert (await client.deliver(b"\n" * 15_000 + b"\r\n"))[:9] == "451 4.3.0"
        assert await client.deliver(b"\n" * 9_000 + b"\r\n") == ACCEPTED


async def test_mail_that_goes_round_in_circles_is_refused(server: Listening):
    client = await server.client()
    assert (await client.deliver(b"Received: x\r\n" * 51 + MAIL))[:9] == "554 5.4.6"
    assert (await client.deliver(b"X-Gateway-Loop: support@example.com\r\n" + MAIL))[:9] == "554 5.4.6"
    assert await client.deliver(b"X-Gateway-Loop: help@elsewhere.example\r\n" + MAIL) == ACCEPTED
    assert await client.deliver(b"Received: x\r\n" * 50 + MAIL) == ACCEPTED
    assert server.host.refusals == [(Refusal.LOOP, "mail loop")] * 2


async def test_too_many_errors_end_the_session_but_not_those_between_messages(server: Listening):
    client = await server.client()
    for _ in range(3):
        assert {(await client.say("FROB"))[:3] for _ in range(19)} == {"500"}
        assert await client.deliver() == ACCEPTED
    for _ in range(19):
        await client.say("FROB")
    assert await client.say("FROB") == "421 4.7.0 too many errors, goodbye"
    assert await client.reply() == ""
    assert server.host.refusals == [(Refusal.TOO_MANY, "too many errors")]


async def test_idle_chatter_ends_the_session():
    async with listening(max_recipients=1) as server:
        client = await server.client()
        client.send(b"NOOP\r\n" * 102)
        said = [await client.reply() for _ in range(102)]
    assert said[100:] == ["250 2.0.0 ok", "421 4.7.0 too many commands without a message, goodbye"]
    assert server.host.refusals == [(Refusal.TOO_MANY, "too many commands")]


@pytest.mark.parametrize("command", ['MAIL FROM:<"{}>', "RCPT TO:<{}@b.example>", "MAIL FROM:<{}@b.example>"])
async def test_an_address_no_grammar_should_look_at_is_refused_unread(server: Listening, command: str, monkeypatch):
    monkeypatch.setattr(SMTP, "_getaddr", lambda *_: pytest.fail("it takes the square of its length"))
    client = await server.client()
    await client.say("RCPT TO:<a>" if command.startswith("MAIL") else "MAIL FROM:<>")
    assert (await client.say(command.format('"' * LONGEST_ODD)))[:7] in ("501 5.1", "501 5.3")
    assert await client.say("RSET") == "250 2.0.0 ok"


def test_a_domain_longer_than_any_is_not_translated():
    assert Mailboxes(["support@example.com"]).find("support@" + "\ufdfa" * 254) is NotOurs.DOMAIN
    assert canonical("a@" + "\ufdfa" * 254) == "a@" + "\ufdfa" * 254


async def test_many_commands_in_one_piece_let_others_have_their_turn(server: Listening, monkeypatch):
    monkeypatch.setattr(connection, "TURN", 0.0)
    turns, at = 0, []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def noop(*_: object) -> bytes:
        at.append(turns)
        return replies.OK

    monkeypatch.setitem(COMMANDS, b"NOOP", noop)
    client = await server.client()
    elsewhere = asyncio.create_task(others())
    client.send(b"NOOP\r\n" * 50)
    assert [await client.reply() for _ in range(50)] == ["250 2.0.0 ok"] * 50
    elsewhere.cancel()
    assert len(set(at)) == 50


async def test_connections_are_limited_and_given_back():
    async with listening(max_connections=1) as server:
        first = await server.client()
        second, greeting = await server.connect()
        assert greeting == "421 4.7.0 too many connections, try again later"
        assert await second.reply() == ""
        assert (await first.say("QUIT"))[:3] == "221"
        assert await first.reply() == ""
        third = await server.client()
        assert await third.deliver() == ACCEPTED
    assert server.host.refusals == [(Refusal.TOO_MANY, "too many connections")]


async def test_our_own_slowness_is_not_the_client_idling():
    async with listening(idle_timeout="50ms") as server:
        server.host.go_on.clear()
        client = await server.client()
        await client.begin()
        client.send(stuffed(MAIL))
        await server.host.handed_over.wait()
        await asyncio.sleep(0.15)
        server.host.go_on.set()
        assert await client.reply() == ACCEPTED


@pytest.mark.parametrize("begun", [False, True], ids=["command", "data"])
async def test_silent_client_is_told_and_cut(begun: bool):
    async with listening(idle_timeout="50ms") as server:
        client = await server.client()
        if begun:
            await client.begin()
            client.send(b"Subject: and then")
        assert await client.reply() == "421 4.4.2 timed out, goodbye"
        assert await client.reply() == ""
    assert server.contents == []


async def test_command_line_that_trickles_in_is_cut():
    async with listening(idle_timeout="100ms") as server:
        client = await server.client()
        cut = asyncio.create_task(client.reply())
        while not cut.done():
            client.send(b"N")
            await asyncio.sleep(0.01)
        assert await cut == "421 4.4.2 timed out, goodbye"


async def test_every_command_line_has_its_own_time():
    async with listening(idle_timeout="200ms") as server:
        client = await server.client()
        for _ in range(6):
            client.send(b"NO")
            await asyncio.sleep(0.05)
            assert await client.say("OP") == "250 2.0.0 ok"


async def test_slow_sender_outlives_the_idle_timeout():
    async with listening(idle_timeout="400ms", minimum_rate=100) as server:
        client = await server.client()
        await client.begin()
        for _ in range(7):
            client.send(b"x" * 98 + b"\r\n")
            await asyncio.sleep(0.08)
        client.send(b".\r\n")
        assert await client.reply() == ACCEPTED


async def test_trickling_sender_is_cut():
    async with listening(idle_timeout="100ms", minimum_rate=100_000) as server:
        client = await server.client()
        await client.begin()
        cut = asyncio.create_task(client.reply())
        while not cut.done():
            client.send(b"x\r\n")
            await asyncio.sleep(0.01)
        assert await cut == "421 4.4.2 timed out, goodbye"


async def test_client_that_reads_nothing_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "PARTING_GRACE", 0.05)
    async with listening(idle_timeout="50ms", max_recipients=1_000_000) as server:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(PATIENCE)
            deaf.connect(server.adapter.address)
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                await asyncio.to_thread(deaf.sendall, b"VRFY x\r\n" * 2_500_000)


async def test_refusals_are_counted_without_a_value_of_theirs(server: Listening):
    client = await server.client()
    await client.say("MAIL FROM:<a@b.example>")
    await client.say("RCPT TO:<support@example.net>")
    await client.say("RCPT TO:<nobody@example.com>")
    assert server.host.refusals == [(Refusal.FORGED, "foreign domain"), (Refusal.FORGED, "unknown mailbox")]
