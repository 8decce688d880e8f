"""The PROXY protocol: who the client is by the word of a load balancer, and who may say so."""

import asyncio
import ssl
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest
import uvloop

from channels.api import Refusal
from channels.email.arrival import Arrival
from channels.email.reception import Reception
from channels.email.smtp import proxied
from channels.email.smtp.proxied import Balancers, plain
from tests.channels.email_door import ACCEPTED, MAIL, PATIENCE, Client, Listening, listening
from tests.channels.test_email_tls import Papers

LOOPBACK = ["127.0.0.0/8"]
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1 = b"PROXY TCP4 198.51.100.7 192.0.2.1 40000 25\r\n"
UNWELCOME = "421 4.7.0 too many connections, try again later"


def v2(source: str = "2001:db8::7", *, command: int = 1, kind: int = 1, more: bytes = b"") -> bytes:
    """A header of version 2; `kind` 1 is TCP, 2 UDP."""
    address = ip_address(source)
    ports = struct.pack("!HH", 40000, 25)
    body = address.packed * 2 + ports + more
    family = 0x10 if address.version == 4 else 0x20
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family | kind, len(body)) + body


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str]]:
    """Peer and HELO of each mail that is taken in."""
    seen: list[tuple[str | None, str]] = []
    take = Reception.take

    async def watched(self: Reception, arrival: Arrival):
        seen.append((arrival.peer, arrival.helo))
        return await take(self, arrival)

    monkeypatch.setattr(Reception, "take", watched)
    return seen


async def connected(server: Listening, header: bytes) -> Client:
    client = Client(*await asyncio.open_connection(*server.adapter.address))
    server._clients.append(client)
    client.send(header)
    return client


async def delivered(server: Listening, header: bytes) -> None:
    client = await connected(server, header)
    assert await client.reply() == "220 mail.gateway ESMTP"
    await client.say("EHLO client.example")
    assert await client.deliver() == ACCEPTED


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (V1, "198.51.100.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:192.0.2.1 40000 25\r\n", "198.51.100.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
        (v2("198.51.100.7"), "198.51.100.7"),
        (v2(), "2001:db8::7"),
        (v2(more=b"\x03\x00\x04abcd"), "2001:db8::7"),
        (v2(command=0), "127.0.0.1"),
        (SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
        (SIGNATURE + b"\x21\x00\x00\x00", "127.0.0.1"),
    ],
)
async def test_the_client_is_whom_the_balancer_names(peers: list[tuple[str | None, str]], header: bytes, peer: str):
    async with listening(proxy_protocol_from=LOOPBACK) as server:
        await delivered(server, header)
    assert peers == [(peer, "client.example")]


async def test_a_client_who_comes_straight_is_the_peer(peers: list[tuple[str | None, str]]):
    async with listening() as server:
        client = await server.client()
        assert await client.say("HELO other.example") == "250 mail.gateway"
        assert await client.deliver() == ACCEPTED
    assert peers == [("127.0.0.1", "other.example")]


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO client.example\r\n",
        b"PROXY TCP4 198.51.100.7 192.0.2.1 40000\r\n",
        b"PROXY TCP4 nonsense 192.0.2.1 40000 25\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 40000 25\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        b"PROXY TCP4 " + b"1" * 200_000,
        SIGNATURE + b"\x31\x11\x00\x00",
        SIGNATURE + b"\x21\x11\x00\x00",
        v2(kind=2),
        SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + b"/" * 216,
    ],
    ids=lambda header: repr(header[:30]),
)
async def test_a_balancer_without_a_good_header_is_cut_without_a_word(header: bytes):
    async with listening(proxy_protocol_from=LOOPBACK) as server:
        client = await connected(server, header)
        try:
            said = await asyncio.wait_for(client.reader.read(), PATIENCE)
        except ConnectionResetError:  # we closed before all of it was read
            said = b""
        assert said == b""
        await delivered(server, V1)
    assert server.host.refusals == [(Refusal.FORGED, "no PROXY header")]


@pytest.mark.parametrize("header", [b"", b"PRO", V1[:20], v2()[:20]], ids=["silent", "PRO", "half of 1", "half of 2"])
async def test_a_balancer_has_little_time(monkeypatch: pytest.MonkeyPatch, header: bytes):
    monkeypatch.setattr(proxied, "HEADER_TIMEOUT", 0.05)
    async with listening(proxy_protocol_from=LOOPBACK, max_connections=1) as server:
        client = await connected(server, header)
        assert await asyncio.wait_for(client.reader.read(), PATIENCE) == b""
        await delivered(server, V1)


async def test_a_balancer_that_only_looks_whether_we_are_up_is_no_forger():
    async with listening(proxy_protocol_from=LOOPBACK) as server:
        client = await connected(server, b"")
        client.writer.close()
        await client.writer.wait_closed()
        await delivered(server, V1)
    assert server.host.refusals == []


@pytest.mark.parametrize(
    ("header", "replies"), [(V1, ["500"]), (v2("198.51.100.7"), ["500", "500", "500"])], ids=["1", "2"]
)
async def test_others_are_not_believed(peers: list[tuple[str | None, str]], header: bytes, replies: list[str]):
    async with listening(proxy_protocol_from=["10.0.0.0/8"]) as server:
        client, greeting = await server.connect()
        assert greeting == "220 mail.gateway ESMTP"
        client.send(header)
        assert [(await client.reply())[:3] for _ in replies] == replies
    assert peers == []


async def test_connections_count_for_the_client_and_not_for_the_balancer():
    async with listening(proxy_protocol_from=LOOPBACK, max_connections_per_peer=1, max_connections=3) as server:
        first = await connected(server, V1)
        other = await connected(server, v2())
        assert {await first.reply(), await other.reply()} == {"220 mail.gateway ESMTP"}
        again = await connected(server, V1)
        assert await again.reply() == UNWELCOME
        assert await again.reply() == ""
        await first.say("QUIT")
        assert await first.reply() == ""
        await delivered(server, V1)
    assert server.host.refusals == [(Refusal.TOO_MANY, "too many connections")]


async def read_through(client: Client, papers: Papers, header: bytes) -> bytes:
    """What is said first, where header and TLS come together in one packet."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = papers.context().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    client.send(header)
    while True:
        try:
            return tls.read()
        except ssl.SSLWantReadError:
            client.send(outgoing.read())
            incoming.write(await asyncio.wait_for(client.reader.read(65536), PATIENCE))


@pytest.mark.parametrize("together", [True, False])
def test_tls_from_the_first_byte_behind_a_balancer(tmp_path: Path, together: bool):
    papers = Papers(tmp_path)

    async def scenario() -> None:
        async with listening(proxy_protocol_from=LOOPBACK, **papers.settings(mode="implicit")) as server:
            if together:
                client = await connected(server, b"")
                assert await read_through(client, papers, V1) == b"220 mail.gateway ESMTP\r\n"
                return
            client = await connected(server, V1)
            await client.writer.start_tls(papers.context(), server_hostname="127.0.0.1")
            assert await client.reply() == "220 mail.gateway ESMTP"
            await client.say("EHLO client.example")
            assert await client.deliver() == ACCEPTED
            assert server.contents == [MAIL]

    asyncio.run(scenario())
    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("peer", "has"),
    [("10.1.2.3", True), ("11.0.0.1", False), ("192.0.2.9", True), ("2001:db8::1", True), ("::1", False), ("", False)],
)
def test_balancers(peer: str, has: bool):
    assert Balancers(["10.0.0.0/8", "192.0.2.9", "2001:db8::/32"]).has(peer) is has


@pytest.mark.parametrize(
    ("host", "address"),
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::1"), ("/run/x", "")],
)
def test_an_address_is_plain(host: str, address: str):
    assert plain(host) == address
