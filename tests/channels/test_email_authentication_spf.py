"""SPF: may this server send for that domain; and DMARC's records."""

import asyncio

import pytest

from channels.email.authentication import dmarc, spf_check
from channels.email.authentication.names import aligned, dns_name, organization
from channels.email.authentication.peers import Peers
from channels.email.authentication.settings import AuthenticationSettings
from channels.email.authentication.spf_check import MOST_QUESTIONS, sender
from normalizers.mailed import Dkim, Spf
from tests.channels.fake_dns import FakeDns

PEER = "192.0.2.10"


@pytest.fixture
def dns():
    return FakeDns()


async def check(dns, *, peer=PEER, mail_from="minsu@acme.example", helo="mx.acme.example"):
    one = sender(peer, mail_from, helo)
    assert one is not None
    found = await spf_check.check(one, dns, asyncio.to_thread)
    return found.result, found.domain


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass"),
        ("v=spf1 ip4:198.51.100.0/24 -all", "fail"),
        ("v=spf1 ip4:198.51.100.0/24 ~all", "softfail"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1 a -all", "pass"),
        ("v=spf1 mx -all", "pass"),
        ("v=spf1 include:_spf.acme.example -all", "pass"),
        ("v=spf1 redirect=_spf.acme.example", "pass"),
        ("v=spf1 exists:%{i}._spf.%{d} -all", "pass"),
        ("v=spf1 ptr:acme.example -all", "pass"),
        ("v=spf1 ip4:192.0.2.10 exp=why.acme.example -all", "pass"),
        ("v=spf1 include:nobody.example -all", "permerror"),
        ("v=spf1 include:acme.example -all", "permerror"),
        ("v=spf1 ip4:nonsense -all", "permerror"),
        ("v=spf1 " + "a:x.acme.example " * 11 + "-all", "permerror"),
        ("v=spf1 a:n1.example a:n2.example a:n3.example ip4:192.0.2.10 -all", "permerror"),
        ("v=spf1 " + "ip4:192.0.2.1 " * 400 + "ip4:192.0.2.10 -all", "permerror"),
        ("v=spf1 mx:many.example -all", "permerror"),
        ("v=spf1 a:\xeb\xb7\x81.example -all", "permerror"),
        ("v=spf1 include:silent.example -all", "temperror"),
        ("v=spf1 mx:silent.example -all", "temperror"),
        ("v=spf10 ip4:192.0.2.0/24", "none"),
        ("some other text", "none"),
    ],
)
async def test_what_the_record_says(dns, record, result):
    dns.txt("acme.example", "unrelated", record)
    dns.txt("_spf.acme.example", "v=spf1 ip4:192.0.2.10 -all")
    dns.records["acme.example", "A"] = [PEER]
    dns.records["acme.example", "MX"] = ["mx.acme.example"]
    dns.records["mx.acme.example", "A"] = [PEER]
    dns.records["x.acme.example", "A"] = ["198.51.100.1"]
    dns.records[f"{PEER}._spf.acme.example", "A"] = ["127.0.0.2"]
    dns.records["10.2.0.192.in-addr.arpa", "PTR"] = ["mx.acme.example"]
    dns.records["many.example", "MX"] = [f"mx{n}.example" for n in range(11)]
    dns.silent("silent.example")
    dns.silent("silent.example", "MX")
    assert await check(dns) == (result, "acme.example")


async def test_the_name_that_is_greeted_with_stands_in_for_an_empty_sender(dns):
    dns.txt("mx.acme.example", "v=spf1 a -all")
    dns.records["mx.acme.example", "A"] = [PEER]
    assert await check(dns, mail_from="<>") == ("pass", "mx.acme.example")
    assert sender(PEER, "", "localhost") is None
    assert sender(PEER, "", "[192.0.2.10]") is None
    assert sender(PEER, "minsu@[192.0.2.10]", "mx.acme.example") is None


async def test_ipv6_is_a_peer_as_well(dns):
    dns.txt("acme.example", "v=spf1 ip6:2001:db8::/32 -all")
    assert await check(dns, peer="2001:db8::10") == ("pass", "acme.example")
    assert await check(dns, peer="2001:db9::10") == ("fail", "acme.example")


async def test_a_domain_that_is_not_answered_for_is_no_failure_of_the_sender(dns):
    dns.silent("acme.example")
    assert await check(dns) == ("temperror", "acme.example")


async def test_two_records_are_none_to_rely_on(dns):
    dns.txt("acme.example", "v=spf1 +all", "v=spf1 -all")
    assert await check(dns) == ("permerror", "acme.example")


async def test_a_stranger_s_record_sends_us_only_so_far(dns):
    hosts = [f"mx{n}.example" for n in range(10)]
    dns.txt("acme.example", "v=spf1 " + " ".join(f"mx:m{n}.example" for n in range(10)) + " -all")
    for n in range(10):
        dns.records[f"m{n}.example", "MX"] = [f"{n}-{host}" for host in hosts]
        for host in hosts:
            dns.records[f"{n}-{host}", "A"] = ["198.51.100.1"]
    assert await check(dns) == ("permerror", "acme.example")
    assert len(dns.asked) <= MOST_QUESTIONS + 1


@pytest.mark.parametrize("mail_from", ["뷁@acme.example", '"a b"@acme.example', "a@b@acme.example", "@acme.example"])
async def test_odd_senders_have_a_domain_all_the_same(dns, mail_from):
    dns.txt("acme.example", "v=spf1 exists:%{l}.%{o}.acme.example ip4:192.0.2.10 -all")
    assert await check(dns, mail_from=mail_from) == ("pass", "acme.example")


@pytest.mark.parametrize(
    ("peer", "is_sender"),
    [
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("::ffff:192.0.2.1", True),
        ("198.51.100.7", False),
        ("203.0.113.9", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:10.1.2.3", False),
        ("172.20.0.3", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("", False),
        (None, False),
        ("/run/lmtp.sock", False),
    ],
)
def test_our_own_servers_are_no_senders(peer, is_sender):
    peers = Peers(AuthenticationSettings(trusted_peers=("198.51.100.0/24", "203.0.113.9")))
    assert (peers.sender(peer) is not None) is is_sender


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Acme.Example.", "acme.example"),
        ("한국.kr", "xn--3e0b707e.kr"),
        ("faß.example", "xn--fa-hia.example"),  # not fass.example, which is somebody else's
        ("localhost", None),
        ("[192.0.2.1]", None),
        ("a..example", None),
        ("a b.example", None),
        ("x" * 64 + ".example", None),
        ("x." * 130 + "example", None),
        ("", None),
    ],
)
def test_domains_as_the_dns_knows_them(written, name):
    assert dns_name(written) == name


def test_alignment_is_within_one_organisation():
    assert organization("a.b.acme.co.kr") == "acme.co.kr"
    assert organization("co.kr") is None
    assert aligned("mail.acme.co.kr", "acme.co.kr")
    assert not aligned("mail.acme.co.kr", "acme.co.kr", strict=True)
    assert not aligned("acme.co.kr", "evil.co.kr")
    assert not aligned("one.github.io", "two.github.io")
    assert not aligned("co.kr", "acme.co.kr")
    assert not aligned("co.kr", "or.kr")
    assert aligned("co.kr", "co.kr")
    assert not aligned(None, None)


@pytest.mark.parametrize(
    ("record", "policy"),
    [
        ("v=DMARC1; p=reject", "reject"),
        ("v=DMARC1;p=REJECT;pct=5", "reject"),
        ("v=DMARC1; p=quarantine; sp=none; adkim=s", "quarantine"),
        ("v=DMARC1; p=none;", "none"),
        ("v=DMARC1; rua=mailto:d@acme.example", "none"),
        ("v=DMARC1; p=nonsense; rua=mailto:d@acme.example", "none"),
        ("v=DMARC1; p=nonsense", None),
        ("v=DMARC1", None),
    ],
)
def test_a_dmarc_record_is_read_as_written(record, policy):
    read = dmarc.read(record, inherited=False)
    assert read.published == policy
    assert read.trouble == (None if policy else "permerror")


async def test_a_part_of_a_domain_inherits_its_organisation_s_policy(dns):
    dns.txt("_dmarc.acme.co.kr", "v=DMARC1; p=none; sp=reject; aspf=s")
    assert (await dmarc.look_up("acme.co.kr", dns)).published == "none"
    found = await dmarc.look_up("mail.seoul.acme.co.kr", dns)
    assert (found.published, found.strict_spf, found.strict_dkim) == ("reject", True, False)
    dns.txt("_dmarc.own.acme.co.kr", "v=DMARC1; p=quarantine")
    assert (await dmarc.look_up("own.acme.co.kr", dns)).published == "quarantine"


@pytest.mark.parametrize("records", [["v=DMARC1; p=reject"] * 2, ["v=dmarc1; p=reject"], ["p=reject; v=DMARC1"], []])
async def test_what_is_no_single_record_is_none(dns, records):
    dns.txt("_dmarc.acme.example", *records)
    assert await dmarc.look_up("acme.example", dns) == dmarc.NONE


async def test_while_the_dns_does_not_say_only_the_very_same_domain_counts(dns):
    dns.silent("_dmarc.acme.example")
    policy = await dmarc.look_up("acme.example", dns)
    signed = (Dkim(result="pass", domain="mail.acme.example"), Dkim(result="pass", domain="acme.example"))
    _, found = dmarc.align("acme.example", policy, None, signed)
    assert [one.aligned for one in found] == [False, True]
    verdict = dmarc.evaluate("acme.example", policy, None, found)
    assert verdict is not None
    assert verdict.result == "temperror"


REJECT = dmarc.read("v=DMARC1; p=reject", inherited=False)


@pytest.mark.parametrize(
    ("spf", "dkim", "verdict"),
    [
        (Spf(result="pass", domain="acme.example"), (), "pass"),
        (Spf(result="pass", domain="evil.example"), (), "fail"),
        (Spf(result="softfail", domain="acme.example"), (), "fail"),
        (Spf(result="fail", domain="acme.example"), (Dkim(result="pass", domain="m.acme.example"),), "pass"),
        (Spf(result="pass", domain="evil.example"), (Dkim(result="pass", domain="evil.example"),), "fail"),
        (Spf(result="temperror", domain="acme.example"), (), "temperror"),
        (Spf(result="temperror", domain="evil.example"), (), "fail"),
        (Spf(result="none"), (Dkim(result="temperror", domain="evil.example"),), "fail"),
        (Spf(result="none"), (Dkim(result="policy", domain="acme.example"),), "fail"),
        (None, (Dkim(result="pass", domain="acme.example"),), "pass"),
        (None, (Dkim(result="fail", domain="acme.example"),), None),
    ],
)
def test_the_verdict_rests_on_what_is_aligned(spf, dkim, verdict):
    spf, dkim = dmarc.align("acme.example", REJECT, spf, dkim)
    found = dmarc.evaluate("acme.example", REJECT, spf, dkim)
    assert (found.result if found else None) == verdict
