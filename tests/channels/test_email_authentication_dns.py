"""The DNS: a real server on loopback, and what is remembered of it."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from channels.email.authentication import lookups as lookups_module
from channels.email.authentication import nameservers
from channels.email.authentication.lookups import FAILURE_KEPT, LONGEST, MOST_KEPT, NONE_KEPT, Lookups
from channels.email.authentication.nameservers import Found, Nameservers
from channels.email.authentication.resolver import Silent, Unanswered
from tests.support import free_port, until

Answer = Callable[[dns.message.Message], dns.message.Message | None]


class Server(asyncio.DatagramProtocol):
    """A name server for one zone, over UDP and TCP."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], tuple[str, ...]] = {}
        self.rcodes: dict[str, dns.rcode.Rcode] = {}
        self.mute = False
        self.asked: list[str] = []
        self.port = free_port()

    def answer(self, wire: bytes, *, most: int) -> bytes | None:
        query = dns.message.from_wire(wire)
        (question,) = query.question
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name} {kind}")
        if self.mute:
            return None
        response = dns.message.make_response(query)
        if name in self.rcodes:
            response.set_rcode(self.rcodes[name])
        for owner, target in ((name, self.zone.get((name, "CNAME"))), (name, None)):
            if target:
                response.answer.append(dns.rrset.from_text(owner, 60, "IN", "CNAME", *target))
                name = target[0]
        if records := self.zone.get((name, kind)):
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        try:
            return response.to_wire(max_size=most)
        except dns.exception.TooBig:
            cut = dns.message.make_response(query)
            cut.flags |= dns.flags.TC
            return cut.to_wire()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        if (answer := self.answer(data, most=1232)) is not None:
            self.transport.sendto(answer, address)

    async def over_tcp(self, reader, writer):
        length = int.from_bytes(await reader.readexactly(2), "big")
        if (answer := self.answer(await reader.readexactly(length), most=65535)) is not None:
            writer.write(len(answer).to_bytes(2, "big") + answer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def listening():
    server = Server()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", server.port))
    tcp = await asyncio.start_server(server.over_tcp, "127.0.0.1", server.port)
    try:
        yield server, Nameservers([f"127.0.0.1:{server.port}"])
    finally:
        transport.close()
        tcp.close()
        await tcp.wait_closed()


async def test_records_of_every_kind_are_told_as_text():
    async with listening() as (server, source):
        server.zone = {
            ("acme.kr.", "TXT"): ('"v=spf1 " "-all"', r'"\235\183\129"'),
            ("acme.kr.", "MX"): ("20 Two.acme.kr.", "10 one.acme.kr."),
            ("acme.kr.", "A"): ("192.0.2.1",),
            ("acme.kr.", "AAAA"): ("2001:db8::1",),
            ("1.2.0.192.in-addr.arpa.", "PTR"): ("mx.acme.kr.",),
            ("alias.kr.", "CNAME"): ("acme.kr.",),
        }
        texts = await source.fetch("acme.kr", "TXT")
        assert (set(texts.records), texts.ttl) == ({"v=spf1 -all", "\xeb\xb7\x81"}, 60)
        assert (await source.fetch("acme.kr", "MX")).records == ("one.acme.kr", "two.acme.kr")
        assert (await source.fetch("acme.kr", "A")).records == ("192.0.2.1",)
        assert (await source.fetch("acme.kr", "AAAA")).records == ("2001:db8::1",)
        assert (await source.fetch("1.2.0.192.in-addr.arpa", "PTR")).records == ("mx.acme.kr",)
        assert (await source.fetch("alias.kr", "A")).records == ("192.0.2.1",)
        assert await source.fetch("other.kr", "TXT") == Found((), None)


async def test_no_such_name_and_a_failing_server_are_two_things():
    async with listening() as (server, source):
        server.rcodes = {"gone.kr.": dns.rcode.NXDOMAIN, "broken.kr.": dns.rcode.SERVFAIL}
        assert await source.fetch("gone.kr", "TXT") == Found((), None)
        with pytest.raises(Unanswered) as raised:
            await source.fetch("broken.kr", "TXT")
        assert not isinstance(raised.value, Silent)
        assert await source.alive()


async def test_a_large_answer_comes_over_tcp_and_an_enormous_one_not_at_all():
    async with listening() as (server, source):
        large = tuple(f'"{n} {"x" * 200}"' for n in range(30))
        server.zone = {
            ("large.kr.", "TXT"): large,
            ("enormous.kr.", "TXT"): tuple(f'"{n}" "{"x" * 250}" "{"y" * 250}"' for n in range(90)),
            ("many.kr.", "A"): tuple(f"10.0.0.{n}" for n in range(200)),
        }
        assert len((await source.fetch("large.kr", "TXT")).records) == 30
        with pytest.raises(Unanswered):
            await source.fetch("enormous.kr", "TXT")
        with pytest.raises(Unanswered):
            await source.fetch("many.kr", "A")


async def test_who_does_not_answer_is_silent(monkeypatch):
    monkeypatch.setattr(nameservers, "ALL_TRIES", 0.2)
    monkeypatch.setattr(nameservers, "PROBE_TIMEOUT", 0.2)
    async with listening() as (server, source):
        server.mute = True
        with pytest.raises(Silent):
            await source.fetch("acme.kr", "TXT")
        assert not await source.alive()


@pytest.mark.parametrize("name", ["a" * 64 + ".kr", "a..kr", "x." * 200 + "kr", "뷁\udc80.kr"])
async def test_a_name_that_can_be_none_does_not_exist(name):
    async with listening() as (server, source):
        assert await source.fetch(name, "TXT") == Found((), None)
        assert server.asked == []


class FakeSource:
    """Answers when the test lets it."""

    def __init__(self) -> None:
        self.found: dict[str, Found | None] = {}
        self.asked: list[str] = []
        self.looks = 0
        self.is_alive = True
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def fetch(self, name, kind):
        self.asked.append(name)
        await self.go_on.wait()
        found = self.found.get(name, Found((), None))
        if found is None:
            raise Silent
        return found

    async def alive(self):
        self.looks += 1
        return self.is_alive


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def source():
    return FakeSource()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def resolver(source, clock):
    return Lookups(source, clock)


async def test_records_are_kept_as_long_as_they_say_and_no_longer_than_an_hour(source, resolver, clock):
    source.found = {"short.kr": Found(("a",), 300), "long.kr": Found(("b",), 10**9)}
    for after, times in ((0, 1), (299, 1), (301, 2)):
        clock.now = 1000.0 + after
        assert await resolver.ask("Short.kr.", "TXT") == ("a",)
        assert source.asked.count("short.kr") == times
    for after, times in ((301, 1), (301 + LONGEST - 1, 1), (301 + LONGEST + 1, 2)):
        clock.now = 1000.0 + after
        await resolver.ask("long.kr", "TXT")
        assert source.asked.count("long.kr") == times


async def test_that_there_is_nothing_is_remembered_for_a_minute(source, resolver, clock):
    for after, times in ((0, 1), (NONE_KEPT - 1, 1), (NONE_KEPT + 1, 2)):
        clock.now = 1000.0 + after
        assert await resolver.ask("none.kr", "TXT") == ()
        assert len(source.asked) == times


async def test_many_who_ask_at_once_are_one_question(source, resolver):
    source.found = {"acme.kr": Found(("a",), 300)}
    source.go_on.clear()
    first, *others = [asyncio.create_task(resolver.ask("acme.kr", "TXT")) for _ in range(50)]
    await until(lambda: source.asked == ["acme.kr"])
    first.cancel()
    source.go_on.set()
    assert await asyncio.gather(*others) == [("a",)] * 49
    assert source.asked == ["acme.kr"]


@pytest.mark.parametrize(
    "name", ["acme.example", "a.b.TEST.", "localhost", "x.invalid", "printer", "printer.local", ""]
)
async def test_names_that_are_in_no_dns_are_asked_of_nobody(source, resolver, name):
    assert await resolver.ask(name, "TXT") == ()
    assert source.asked == []


async def test_one_dead_domain_is_not_a_dead_dns(source, resolver, clock):
    source.found = {"dead.kr": None, "acme.kr": Found(("a",), 300)}
    for _ in range(3):
        with pytest.raises(Unanswered):
            await resolver.ask("dead.kr", "TXT")
    assert source.asked == ["dead.kr"]  # and not asked for again at once
    await until(lambda: source.looks == 1)
    assert await resolver.ask("acme.kr", "TXT") == ("a",)
    clock.now += FAILURE_KEPT + 1
    with pytest.raises(Unanswered):
        await resolver.ask("dead.kr", "TXT")
    assert source.asked == ["dead.kr", "acme.kr", "dead.kr"]


async def test_a_dead_dns_is_found_out_once_and_asked_again_when_it_is_back(source, resolver, clock):
    source.found = {"one.kr": None, "acme.kr": Found(("a",), 300)}
    source.is_alive = False
    with pytest.raises(Unanswered):
        await resolver.ask("one.kr", "TXT")
    await until(lambda: source.looks == 1)
    for n in range(20):
        with pytest.raises(Unanswered):
            await resolver.ask(f"x{n}.kr", "TXT")
    assert (source.asked, source.looks) == (["one.kr"], 1)
    clock.now += lookups_module.PAUSE
    source.is_alive = True
    for n in range(3):
        with pytest.raises(Unanswered):
            await resolver.ask(f"x{n}.kr", "TXT")
    await until(lambda: source.looks == 2)
    assert await resolver.ask("acme.kr", "TXT") == ("a",)


async def test_what_is_remembered_is_bounded(source, resolver, monkeypatch):
    assert MOST_KEPT >= 1000
    monkeypatch.setattr(lookups_module, "MOST_KEPT", 3)
    source.found = {"huge.kr": Found(("x" * 9000,), 300)}
    for name in ("huge.kr", "huge.kr", "a.kr", "b.kr", "c.kr", "a.kr", "d.kr", "b.kr", "a.kr"):
        await resolver.ask(name, "TXT")
    assert source.asked == ["huge.kr", "huge.kr", "a.kr", "b.kr", "c.kr", "d.kr", "b.kr"]
