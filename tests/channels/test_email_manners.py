"""Whoever makes errors waits; whoever sends too much comes again later. Nobody else notices."""

import asyncio

import pytest

from channels.api import Refusal
from channels.email.smtp import rates
from channels.email.smtp.rates import Rates
from tests.channels.email_door import ACCEPTED, MAIL, Client, Listening, listening, stuffed
from tests.channels.test_email_proxied import connected

TOO_MANY = "450 4.7.1 too many messages in a minute, try again later"
V1 = "PROXY TCP4 198.51.100.%d 192.0.2.1 40000 25"


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long sessions waited; they do not really."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


async def test_each_reply_waits_after_ten_errors_until_a_message_is_taken(naps: list[float]):
    async with listening(error_delay="1s") as server:
        client = await server.client()
        for _ in range(10):
            await client.say("FROB")
        await client.say("NOOP")
        assert naps == []
        await client.say("FROB")
        await client.say("NOOP")
        assert naps == [1.0, 1.0]
        await client.begin()
        client.send(stuffed(MAIL))
        assert await client.reply() == ACCEPTED
        assert naps == [1.0] * 4  # MAIL and RCPT, and what ends the message does not
        await client.say("FROB")
        assert len(naps) == 4


async def test_twenty_errors_end_the_session_at_once(naps: list[float]):
    async with listening(error_delay="1s") as server:
        client = await server.client()
        for _ in range(19):
            assert (await client.say("FROB"))[:3] == "500"
        assert await client.say("FROB") == "421 4.7.0 too many errors, goodbye"
    assert len(naps) == 9


async def test_others_do_not_wait_and_time_that_is_ours_is_not_the_clients(monkeypatch: pytest.MonkeyPatch):
    go_on = asyncio.Event()

    async def sleep(_: float) -> None:
        await go_on.wait()

    async with listening(error_delay="1s", idle_timeout="500ms") as server:
        client = await server.client()
        for _ in range(10):
            await client.say("FROB")
        monkeypatch.setattr(asyncio, "sleep", sleep)
        slow = asyncio.create_task(client.say("FROB"))
        assert await (await server.client()).deliver() == ACCEPTED
        done, _ = await asyncio.wait({slow}, timeout=0.7)
        assert not done
        go_on.set()
        assert await slow == "500 5.5.2 command not recognized"


async def test_a_peer_has_so_many_messages_a_minute():
    async with listening(max_rate=2, proxy_protocol_from=["127.0.0.1"]) as server:
        greedy, _ = await proxied(server, 7)
        assert [(await say_mail(greedy)) for _ in range(3)] == ["250 2.1.0 sender ok"] * 2 + [TOO_MANY]
        again, _ = await proxied(server, 7)
        assert await say_mail(again) == TOO_MANY
        other, _ = await proxied(server, 8)
        assert await other.deliver() == ACCEPTED
    assert server.host.refusals == [(Refusal.TOO_MANY, "too many messages")] * 2


async def proxied(server: Listening, last: int) -> tuple[Client, str]:
    client = await connected(server, (V1 % last).encode() + b"\r\n")
    greeting = await client.reply()
    await client.say("EHLO x")
    return client, greeting


async def say_mail(client: Client) -> str:
    await client.say("RSET")
    return await client.say("MAIL FROM:<a@b.example>")


async def test_a_relay_on_this_machine_may_send_as_much_as_it_likes():
    async with listening(max_rate=1) as server:
        client = await server.client()
        assert [await client.deliver() for _ in range(3)] == [ACCEPTED] * 3


def test_a_bucket_fills_at_a_steady_rate():
    now = 1000.0
    found = Rates(6, clock=lambda: now)
    assert [found.take("a") for _ in range(7)] == [True] * 6 + [False]
    now += 9.9
    assert not found.take("a")
    now += 0.2
    assert [found.take("a"), found.take("a"), found.take("b")] == [True, False, True]
    now += 60
    assert [found.take("a") for _ in range(7)] == [True] * 6 + [False]


def test_peers_are_forgotten_when_their_bucket_is_full_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rates, "MOST_PEERS", 3)
    now = 1000.0
    found = Rates(1, clock=lambda: now)
    for peer in "abcde":
        assert found.take(peer)
    assert len(found) == 3
    assert not found.take("e")
    now += 61
    assert found.take("e")
    assert len(found) == 1


def test_without_a_limit_nobody_is_remembered():
    found = Rates(None)
    assert all(found.take("a") for _ in range(100))
    assert len(found) == 0
