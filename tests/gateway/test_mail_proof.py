"""From a mail at the door to its tier on the queue: what was proved of its author decides."""

import pytest

from channels.email import CHANNEL
from channels.email.arrival import Arrival
from channels.email.authentication.means import Means
from channels.email.reception import Reception
from channels.email.settings import EmailSettings
from channels.testing_host import FakeHost
from tests.channels.fake_dns import FakeDns, signed
from tests.gateway import test_pipeline as pipelines

PEER, STRANGER = "192.0.2.10", "192.0.2.99"
MAIL = (
    b"From: Minsu Kim <minsu@acme.example>\r\nTo: support@example.com\r\nSubject: Login page\r\n"
    b"Message-ID: <1@acme.example>\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\r\nIt does not open.\r\n"
)


class Known(Means):
    """One DNS for all."""

    def __init__(self, dns):
        super().__init__()
        self._dns = dns

    def resolver(self, servers):
        return self._dns


@pytest.fixture
def reception(publisher, redis, tmp_path, monkeypatch):
    """The way of every door, up to the queue."""
    dns = FakeDns()
    dns.publish("acme.example")
    dns.txt("acme.example", "v=spf1 ip4:192.0.2.10 -all")
    dns.txt("_dmarc.acme.example", "v=DMARC1; p=reject")
    monkeypatch.setattr(pipelines, "TOY", CHANNEL)
    host = FakeHost("notes")
    host.intake = pipelines.build(publisher, tmp_path)  # type: ignore[method-assign]
    host.together[Means] = Known(dns)
    settings = EmailSettings.model_validate({"type": "email", "recipients": ["support@example.com"]})
    return Reception(settings, host)


async def taken(reception, redis, content, *, peer, tier):
    arrival = Arrival(
        medium="smtp", content=content, peer=peer, mail_from="minsu@acme.example", recipients=("support@example.com",)
    )
    await reception.take(arrival)
    return (await pipelines.event(redis, tier)).data


async def test_a_forged_premium_author_is_suspect_and_served_as_anybody(reception, redis):
    data = await taken(reception, redis, MAIL, peer=STRANGER, tier="free")
    assert (data.tier.value, data.tier.claimed, data.tier.status) == ("free", "premium", "capped")
    assert data.requester.proof == "suspect"
    assert list(data.requester.evidence) == ["dmarc=fail p=reject", "spf=fail d=acme.example"]


async def test_the_true_one_is_premium_and_proved(reception, redis):
    data = await taken(reception, redis, signed(MAIL), peer=PEER, tier="premium")
    assert (data.tier.value, data.tier.status, data.requester.proof) == ("premium", "known", "verified")
    assert "tier_unproven" not in data.tags
    assert data.mail.authentication.dmarc.result == "pass"
    assert [one.address for one in data.mail.to] == ["support@example.com"]


async def test_one_of_whom_nothing_is_known_is_premium_and_unproved(reception, redis):
    data = await taken(reception, redis, MAIL, peer="127.0.0.1", tier="premium")
    assert (data.requester.proof, data.mail.authentication) == ("claimed", None)
    assert "tier_unproven" in data.tags
