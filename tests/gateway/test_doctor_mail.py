"""The doctor on the checking of senders."""

import asyncio

import dns.message
import pytest

from channels.email.authentication import nameservers
from gateway.doctor import checks, examine
from gateway.settings import load
from tests.support import free_port

CONFIG = """\
channels:
  contact: {{type: web_form}}
  support: {{type: email, enabled: {enabled}, recipients: [support@example.com], listen: "{listen}",
            authentication: {authentication}}}
"""


@pytest.fixture
def look(tmp_path, monkeypatch):
    monkeypatch.setattr(nameservers, "PROBE_TIMEOUT", 0.2)

    async def look(authentication, *, listen="127.0.0.1:2525", enabled="true"):
        """What the check says: level and words."""
        file = tmp_path / "gateway.yaml"
        file.write_text(CONFIG.format(authentication=authentication, listen=listen, enabled=enabled), encoding="utf-8")
        (diagnosis,) = await examine(load(file, environ={}), {"senders": checks()["senders"]})
        assert all(bool(one.remedy) is (one.level != "ok") for one in diagnosis.findings)
        return [(one.level, one.what) for one in diagnosis.findings]

    return look


class NameServer(asyncio.DatagramProtocol):
    """Knows nothing, and says so."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(dns.message.make_response(dns.message.from_wire(data)).to_wire(), address)


async def test_the_dns_that_senders_are_checked_with_answers_or_not(look):
    port = free_port()
    authentication = f'{{resolvers: ["127.0.0.1:{port}"]}}'
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", port))
    try:
        found = await look(authentication)
    finally:
        transport.close()
    assert found == [("ok", f"the DNS answers (127.0.0.1:{port}): senders of mail can be checked")]
    assert await look(authentication) == [("warning", f"the DNS does not answer (127.0.0.1:{port})")]


async def test_where_nobody_asks_the_dns_the_doctor_does_not_either(look):
    assert await look("{check: on}", enabled="false") == [("ok", "no inbox takes mail")]
    assert await look("{check: off}") == [
        ("warning", "inbox support does not check who sends: every sender is a claim")
    ]


@pytest.mark.parametrize(
    ("listen", "more", "level"),
    [
        ("127.0.0.1:2525", "", "ok"),
        ("0.0.0.0:2525", "", "warning"),
        ("0.0.0.0:2525", ', trusted_peers: ["192.0.2.1"]', "ok"),
    ],
)
async def test_a_server_in_front_has_to_be_known_by_its_address(look, listen, more, level):
    resolvers = f'resolvers: ["127.0.0.1:{free_port()}"]'
    found, _ = await look(f"{{authserv_id: mx.example.com, {resolvers}{more}}}", listen=listen)
    assert found[0] == level
    assert found[1].startswith("inbox support believes mx.example.com")
