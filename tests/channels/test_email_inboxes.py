"""Several inboxes behind one listener: one session, an envelope each, and one reply that is true for all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from channels.api import Outcome, Receipt, Reference
from channels.email.settings import EmailSettings
from tests.channels.email_door import MAIL, PATIENCE, Client, Listening, MailHost, listening, stuffed
from tests.support import free_port

DEFERRED = "451 4.3.0 cannot take the message now, try again later"


class Named(MailHost):
    """Its envelopes have ids of its own."""

    async def intake(self, payload: Any, /) -> Receipt:
        receipt = await super().intake(payload)
        if receipt.outcome is not Outcome.ACCEPTED:
            return receipt
        return Receipt(outcome=receipt.outcome, references=(Reference(id=f"id-{self.inbox}", reference="T-1"),))


class House:
    """Inboxes of one gateway, by name, all on one address."""

    def __init__(self, inboxes: dict[str, dict[str, Any]]) -> None:
        self.hosts = {name: Named(name) for name in inboxes}
        first, *rest = self.hosts.values()
        for host in rest:
            host.together = first.together
        listen = f"127.0.0.1:{free_port()}"
        self.doors = {
            name: Listening({"listen": listen, **settings}, self.hosts[name]) for name, settings in inboxes.items()
        }

    async def client(self) -> Client:
        return await next(iter(self.doors.values())).client()

    async def close(self) -> None:
        """As the gateway does: all at once."""
        await asyncio.gather(*(door.close() for door in self.doors.values()))

    def taken(self) -> dict[str, list[tuple[str, ...]]]:
        return {name: [mail.recipients for mail in host.payloads] for name, host in self.hosts.items() if host.payloads}


@asynccontextmanager
async def house(**inboxes: dict[str, Any]) -> AsyncIterator[House]:
    found = House(inboxes)
    for door in found.doors.values():
        await door.open()
    try:
        yield found
    finally:
        for host in found.hosts.values():
            host.go_on.set()
        for door in found.doors.values():
            door.hang_up()
        await found.close()


SUPPORT = {"recipients": ["support@example.com"]}
BILLING = {"recipients": ["billing@example.com", "billing@example.net"]}
SALES = {"recipients": ["sales-*@example.com"]}


async def deliver(client: Client, *recipients: str) -> str:
    await client.say("MAIL FROM:<a@b.example>")
    for recipient in recipients:
        assert (await client.say(f"RCPT TO:<{recipient}>"))[:3] == "250"
    await client.say("DATA")
    client.send(stuffed(MAIL))
    return await client.reply()


async def test_each_inbox_gets_the_mail_with_its_own_recipients():
    async with house(support=SUPPORT, billing=BILLING, sales=SALES) as inboxes:
        client = await inboxes.client()
        to = ("billing@example.net", "support+t.Ab@example.com", "billing@example.com", "sales-kr@example.com")
        assert await deliver(client, *to) == "250 2.0.0 accepted id-billing id-support id-sales"
        assert await deliver(client, "sales-kr@example.com") == "250 2.0.0 accepted id-sales"
    assert inboxes.taken() == {
        "support": [("support+t.Ab@example.com",)],
        "billing": [("billing@example.net", "billing@example.com")],
        "sales": [("sales-kr@example.com",), ("sales-kr@example.com",)],
    }
    assert {mail.content for host in inboxes.hosts.values() for mail in host.payloads} == {MAIL}


async def test_unknown_recipients_are_unknown_to_all():
    async with house(support=SUPPORT, billing=BILLING) as inboxes:
        client = await inboxes.client()
        await client.say("MAIL FROM:<a@b.example>")
        said = [(await client.say(f"RCPT TO:<{to}>"))[:9] for to in ("support@example.net", "x@example.org")]
    assert said == ["550 5.1.1", "550 5.7.1"]


async def test_yes_is_said_when_all_have_it_and_try_again_when_one_has_not():
    async with house(support=SUPPORT, billing=BILLING) as inboxes:
        client = await inboxes.client()
        both = ("support@example.com", "billing@example.com")
        inboxes.hosts["billing"].outcome = Outcome.DEFERRED
        assert await deliver(client, *both) == DEFERRED
        inboxes.hosts["billing"].outcome = Outcome.REJECTED  # a dead letter: durable
        assert await deliver(client, *both) == "250 2.0.0 accepted id-support"
        assert await deliver(client, "billing@example.com") == "250 2.0.0 accepted"
        inboxes.hosts["billing"].outcome = Outcome.DEFERRED
        assert await deliver(client, "support@example.com") == "250 2.0.0 accepted id-support"


async def test_inboxes_take_it_in_at_the_same_time_and_the_slowest_decides():
    async with house(support=SUPPORT, billing=BILLING) as inboxes:
        for host in inboxes.hosts.values():
            host.go_on.clear()
        client = await inboxes.client()
        answer = asyncio.create_task(deliver(client, "support@example.com", "billing@example.com"))
        for host in inboxes.hosts.values():
            await asyncio.wait_for(host.handed_over.wait(), PATIENCE)
        inboxes.hosts["support"].go_on.set()
        done, _ = await asyncio.wait({answer}, timeout=0.05)
        assert not done
        inboxes.hosts["billing"].go_on.set()
        assert await answer == "250 2.0.0 accepted id-support id-billing"


class Broken(Named):
    async def intake(self, payload: Any, /) -> Receipt:
        raise RuntimeError("hunter2")


async def test_a_bug_in_one_is_a_try_again_later_and_the_other_has_it_all_the_same():
    found = House({"support": SUPPORT, "billing": BILLING})
    found.hosts["billing"].intake = Broken("billing").intake  # type: ignore[method-assign] # broken on purpose
    async with AsyncExitStack() as stack:
        for door in found.doors.values():
            await door.open()
            stack.callback(door.hang_up)
        client = await found.client()
        assert await deliver(client, "billing@example.com", "support@example.com") == DEFERRED
        assert (await client.say("NOOP"))[:3] == "250"
        await found.close()
    assert found.taken() == {"support": [("support@example.com",)]}


async def test_a_large_mail_stays_on_the_disk_until_the_last_has_it():
    large = b"x" * 1_000_000 + b"\r\n"
    async with house(support=SUPPORT, billing=BILLING) as inboxes:
        inboxes.hosts["billing"].go_on.clear()
        client = await inboxes.client()
        await client.say("MAIL FROM:<a@b.example>")
        await client.say("RCPT TO:<support@example.com>")
        await client.say("RCPT TO:<billing@example.com>")
        await client.say("DATA")
        client.send(stuffed(large))
        for host in inboxes.hosts.values():
            await asyncio.wait_for(host.handed_over.wait(), PATIENCE)
        inboxes.hosts["billing"].go_on.set()
        assert await client.reply() == "250 2.0.0 accepted id-support id-billing"
        contents = [content for door in inboxes.doors.values() for content in door.contents]
    assert contents == [large, large]


@pytest.mark.parametrize("order", [("support", "all"), ("all", "support")])
@pytest.mark.parametrize(
    ("to", "inbox"),
    [
        ("support@example.com", "support"),
        ("support+x@example.com", "support"),
        ("team-kr@example.com", "support"),
        ("anything@example.com", "all"),
        ("postmaster@example.com", "all"),
        ("team-@example.net", "all"),
    ],
)
async def test_exact_beats_pattern_and_long_beats_short(order: tuple[str, ...], to: str, inbox: str):
    known = {
        "support": {"recipients": ["support@example.com", "team-*@example.com"]},
        "all": {"recipients": ["*@example.com", "team-*@example.net"]},
    }
    async with house(**{name: known[name] for name in order}) as inboxes:
        assert await deliver(await inboxes.client(), to) == f"250 2.0.0 accepted id-{inbox}"


async def test_the_postmaster_they_share_is_the_first_ones():
    async with house(support=SUPPORT, billing=BILLING) as inboxes:
        client = await inboxes.client()
        assert await deliver(client, "postmaster") == "250 2.0.0 accepted id-support"
        assert await deliver(client, "postmaster@example.com") == "250 2.0.0 accepted id-support"
        assert await deliver(client, "postmaster@example.net") == "250 2.0.0 accepted id-billing"


async def test_what_one_says_about_the_listener_is_so_for_all():
    async with house(support=SUPPORT, billing={**BILLING, "hostname": "mx.example.com", "max_size": "1MB"}) as inboxes:
        client = await inboxes.client()
        assert "250-mx.example.com\n250-SIZE 1000000\n" in await client.say("EHLO x")


async def test_the_first_that_leaves_closes_the_door_for_all_and_all_wait_for_what_is_in_hand():
    async with house(support=SUPPORT, billing=BILLING) as inboxes:
        inboxes.hosts["billing"].go_on.clear()
        idle, busy = await inboxes.client(), await inboxes.client()
        answer = asyncio.create_task(deliver(busy, "billing@example.com"))
        await asyncio.wait_for(inboxes.hosts["billing"].handed_over.wait(), PATIENCE)
        leaving = [asyncio.create_task(inboxes.doors[name].close()) for name in ("support", "billing")]
        assert await idle.reply() == "421 4.3.2 shutting down, try again later"
        with pytest.raises(ConnectionRefusedError):
            await inboxes.client()
        assert not any(task.done() for task in leaving)
        inboxes.hosts["billing"].go_on.set()
        assert await answer == "250 2.0.0 accepted id-billing"
        await asyncio.gather(*leaving)


async def test_connections_are_counted_once_for_all_of_them():
    async with house(support={**SUPPORT, "max_connections": 1}, billing=BILLING) as inboxes:
        await inboxes.client()
        _, greeting = await inboxes.doors["billing"].connect()
        assert greeting[:9] == "421 4.7.0"


async def test_port_0_is_a_listener_of_its_own():
    async with listening(recipients=["a@example.com"]) as one:
        other = Listening({"recipients": ["b@example.com"]}, one.host)
        await other.open()
        assert one.adapter.address != other.adapter.address
        await other.close()


def settings(**more: Any) -> EmailSettings:
    return EmailSettings.model_validate({"type": "email", **more})


def test_an_inbox_without_a_listener_listens_nowhere():
    quiet = settings(
        recipients=["a@example.com"], listen=None, imap={"host": "127.0.0.1", "user": "a", "password": "b"}
    )
    assert quiet.endpoint is None
    assert quiet.where("http://gateway.example/channels/a") == "http://gateway.example/channels/a"
