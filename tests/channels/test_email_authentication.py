"""Who sent it: from the wire's facts to the verdict in the message."""

import asyncio

import pytest
from pydantic import ValidationError

from channels.email.arrival import Arrival
from channels.email.authentication import checks as checks_module
from channels.email.authentication.checks import Checks
from channels.email.authentication.means import Means
from channels.email.authentication.resolver import Unanswered
from channels.email.authentication.settings import AuthenticationSettings
from channels.email.reception import Reception
from channels.email.settings import EmailSettings
from channels.testing_host import FakeHost
from normalizers.email import MailPayload, normalize
from normalizers.mailed import Authentication, Dkim, Dmarc, Spf
from normalizers.message import Proof
from tests.channels.fake_dns import FakeDns, signed

PEER = "192.0.2.10"
STRANGER = "192.0.2.99"


def mail(sender="minsu@acme.example", *, more=b"", body=b"It does not open.\r\n"):
    return (
        more + b"From: " + sender.encode() + b"\r\nTo: support@example.com\r\nSubject: Login page\r\n"
        b"Message-ID: <1@acme.example>\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\r\n" + body
    )


@pytest.fixture
def dns():
    dns = FakeDns()
    dns.publish("acme.example")
    dns.txt("acme.example", "v=spf1 ip4:192.0.2.10 -all")
    dns.txt("_dmarc.acme.example", "v=DMARC1; p=reject")
    dns.txt("evil.example", "v=spf1 +all")
    dns.publish("evil.example", selector="e")
    return dns


class Seen:
    """What a reader of the queue is told about the author."""

    def __init__(self, authentication, message):
        self.authentication, self.message = authentication, message
        self.proof, self.evidence = message.proof, message.evidence


async def see(dns, content, *, settings=None, peer=PEER, mail_from="minsu@acme.example", **arrival):
    checks = Checks(AuthenticationSettings.model_validate(settings or {}), resolver=dns)
    one = Arrival(medium="smtp", content=content, peer=peer, mail_from=mail_from, helo="mx.acme.example", **arrival)
    found = await checks.examine(one)
    payload = MailPayload(content=content, mail_from=mail_from, authentication=found)
    (message,) = normalize(payload)
    return Seen(found, message)


async def test_a_signed_mail_from_the_right_server_is_verified(dns):
    seen = await see(dns, signed(mail()))
    assert seen.proof is Proof.VERIFIED
    assert seen.evidence == ("dmarc=pass p=reject", "dkim=pass d=acme.example s=k1", "spf=pass d=acme.example")
    assert seen.message.mail.authentication == Authentication(
        source="gateway",
        spf=Spf(result="pass", domain="acme.example", aligned=True),
        dkim=(Dkim(result="pass", domain="acme.example", selector="k1", aligned=True),),
        dmarc=Dmarc(result="pass", domain="acme.example", policy="reject"),
    )


async def test_either_of_the_two_is_enough(dns):
    assert (await see(dns, mail())).proof is Proof.VERIFIED
    assert (await see(dns, signed(mail()), peer=STRANGER, mail_from="x@evil.example")).proof is Proof.VERIFIED


async def test_a_forged_author_is_suspect_where_the_domain_says_so(dns):
    forged = signed(mail("Vip <vip@acme.example>"), "evil.example", selector="e")
    seen = await see(dns, forged, peer=STRANGER, mail_from="x@evil.example")
    assert seen.proof is Proof.SUSPECT
    assert seen.evidence == ("dmarc=fail p=reject", "dkim=pass d=evil.example s=e", "spf=pass d=evil.example")


async def test_where_it_does_not_say_so_he_stays_a_claim_with_evidence(dns):
    for policy in ("v=DMARC1; p=none", ""):
        dns.txt("_dmarc.acme.example", policy)
        seen = await see(dns, mail("vip@acme.example"), peer=STRANGER)
        assert seen.proof is Proof.CLAIMED
        assert seen.evidence[-1] == "spf=fail d=acme.example"
        assert seen.evidence[0] == ("dmarc=fail p=none" if policy else "dmarc=none")


async def test_without_a_policy_alignment_alone_verifies(dns):
    dns.txt("_dmarc.acme.example")
    assert (await see(dns, mail("minsu@seoul.acme.example"))).proof is Proof.VERIFIED
    assert (await see(dns, mail("minsu@other.example"))).proof is Proof.CLAIMED


async def test_a_policy_can_ask_for_the_very_same_domain(dns):
    dns.txt("_dmarc.acme.example", "v=DMARC1; p=reject; adkim=s; aspf=s")
    seen = await see(dns, signed(mail("minsu@seoul.acme.example")))
    assert seen.proof is Proof.SUSPECT
    assert seen.evidence[0] == "dmarc=fail p=reject"


async def test_a_mail_changed_by_a_list_is_what_dmarc_says_of_it(dns):
    dns.publish("list.example", selector="l")
    dns.txt("list.example", "v=spf1 ip4:192.0.2.99 -all")
    through = signed(signed(mail()) + b"___\r\nleave: write\r\n", "list.example", selector="l")
    assert (await see(dns, through, peer=STRANGER, mail_from="b@list.example")).proof is Proof.SUSPECT
    unchanged = signed(signed(mail()), "list.example", selector="l")
    assert (await see(dns, unchanged, peer=STRANGER, mail_from="b@list.example")).proof is Proof.VERIFIED


HOSTILE = [
    "vip@acme.example <x@evil.example>",
    "x@evil.example <vip@acme.example>",
    '"vip@acme.example" <x@evil.example>',
    "vip@acme.example, x@evil.example",
    "x@evil.example, vip@acme.example",
    "<vip@acme.example> <x@evil.example>",
    "<x@evil.example> <vip@acme.example>",
    "vip@acme.example\r\nFrom: x@evil.example",
    "x@evil.example\r\nFrom: vip@acme.example",
    "x@evil.example\r\nFrom : vip@acme.example",
    "(x@evil.example) vip@acme.example",
    '"x@evil.example, " vip@acme.example',
    "=?utf-8?q?x=40evil.example=3E?= <vip@acme.example>",
    "Team: x@evil.example, vip@acme.example;",
    "@evil.example:vip@acme.example",
    "vip@acme.example@evil.example",
    "vip@acme.example\\@evil.example",
    '"x@evil.example"@acme.example',
    "vip@evil.example@acme.example",
    "vip@acme.example\x00@evil.example",
    "\r\n vip@acme.example",
    "vip@ACME.example.",
    "=?utf-8?q?vip=40acme=2Eexample?=",
]


@pytest.mark.parametrize("sender", HOSTILE)
async def test_whoever_signs_for_another_domain_never_becomes_the_author(dns, sender):
    """Whatever a header is read as, evil.example vouches for nobody at acme.example."""
    for content in (mail(sender), signed(mail(sender), "evil.example", selector="e")):
        seen = await see(dns, content, peer=STRANGER, mail_from="x@evil.example")
        addresses = [address.value for address in seen.message.requester.addresses]
        if any(address.rpartition("@")[2].rstrip(".") == "acme.example" for address in addresses):
            assert seen.proof is Proof.SUSPECT
        elif seen.proof is Proof.VERIFIED:
            assert [address.rpartition("@")[2] for address in addresses] == ["evil.example"]


@pytest.mark.parametrize(
    "before",
    [b"\r\n" * 400_000, b"From x Fri Nov 20\r\n", b"X: " + b"y" * 70_000 + b"\r\n", b"Y: z\r\n" * 900],
    ids=["lines", "mailbox", "long", "many"],
)
async def test_what_stands_before_from_hides_it_from_nobody(dns, tmp_path, before):
    content = before + mail("vip@acme.example")
    assert (await see(dns, content, peer=STRANGER)).proof is Proof.SUSPECT
    file = tmp_path / "mail"
    file.write_bytes(content)
    arrival = Arrival(medium="smtp", file=file, peer=STRANGER, mail_from="x@evil.example")
    found = await Checks(AuthenticationSettings(), resolver=dns).examine(arrival)
    assert found is not None
    assert found.dmarc == Dmarc(result="fail", domain="acme.example", policy="reject")


async def test_several_authors_are_proved_by_nothing(dns):
    seen = await see(dns, signed(mail("minsu@acme.example, jane@acme.example")))
    assert seen.proof is Proof.SUSPECT
    assert seen.authentication.dmarc is None
    assert not any(one.aligned for one in seen.authentication.dkim)


async def test_a_dns_that_does_not_answer_proves_and_disproves_nothing(dns):
    for name in ("k1._domainkey.acme.example", "acme.example", "_dmarc.acme.example"):
        dns.silent(name)
    seen = await see(dns, signed(mail()))
    assert seen.proof is Proof.CLAIMED
    assert seen.evidence == (
        "dmarc=temperror",
        "dkim=temperror d=acme.example s=k1",
        "spf=temperror d=acme.example",
    )


async def test_a_slow_dns_of_somebody_else_takes_no_time_from_the_checks_that_matter(dns, monkeypatch):
    monkeypatch.setattr(checks_module, "KEYS_SHARE", 0.1)

    class Slow(FakeDns):
        async def ask(self, name, kind):
            if "evil" in name:
                await asyncio.Event().wait()
            return await dns.ask(name, kind)

    forged = signed(signed(mail("vip@acme.example"), "evil.example", selector="e"), selector="gone")
    seen = await see(Slow(), forged, peer=STRANGER, mail_from="x@evil.example", settings={"timeout": "1s"})
    assert seen.proof is Proof.SUSPECT
    assert seen.evidence == (
        "dmarc=fail p=reject",
        "dkim=permerror d=acme.example s=gone",
        "dkim=temperror d=evil.example s=e",
        "spf=temperror d=evil.example",
    )
    good = signed(signed(mail()), "evil.example", selector="e")
    assert (await see(Slow(), good, peer=STRANGER, settings={"timeout": "1s"})).proof is Proof.VERIFIED


@pytest.mark.parametrize("error", [Unanswered, TimeoutError, ValueError, RecursionError])
async def test_whatever_goes_wrong_it_answers(dns, error):
    class Broken(FakeDns):
        async def ask(self, name, kind):
            raise error

    seen = await see(Broken(), signed(mail()))
    assert seen.proof is Proof.CLAIMED
    assert seen.authentication.dmarc.result == "temperror"


async def test_a_file_that_is_gone_is_taken_unchecked(dns, tmp_path):
    arrival = Arrival(medium="smtp", file=tmp_path / "gone", peer=PEER, mail_from="minsu@acme.example")
    assert await Checks(AuthenticationSettings(), resolver=dns).examine(arrival) is None


async def test_where_nothing_can_be_asked_nobody_is(dns):
    for peer in ("127.0.0.1", None, "10.0.0.3"):
        assert (await see(dns, mail(), peer=peer)).authentication is None
    assert (await see(dns, mail(), settings={"check": "off"})).authentication is None
    assert dns.asked == []


async def test_a_relay_of_our_own_is_not_the_sender_but_signatures_still_count(dns):
    trusted = {"trusted_peers": ["198.51.100.0/24"]}
    seen = await see(dns, signed(mail()), peer="198.51.100.7", settings=trusted)
    assert (seen.proof, seen.authentication.spf) == (Proof.VERIFIED, None)
    broken = await see(dns, signed(mail()) + b"footer\r\n", peer="198.51.100.7", settings=trusted)
    assert (broken.proof, broken.authentication.dmarc) == (Proof.CLAIMED, None)


FRONT = {"authserv_id": "mx.example.com"}
PASSED = b"Authentication-Results: mx.example.com; dmarc=pass (p=reject) header.from=acme.example\r\n"
FAILED = (
    b"Authentication-Results: mx.example.com;\r\n dmarc=fail header.from=acme.example;\r\n"
    b" spf=fail smtp.mailfrom=x@acme.example\r\n"
)


async def test_the_server_in_front_is_believed_in_place_of_checks(dns):
    seen = await see(dns, mail(more=PASSED), peer="127.0.0.1", settings=FRONT)
    assert seen.proof is Proof.VERIFIED
    assert seen.evidence == ("dmarc=pass p=reject", "checked_by=mx.example.com")
    assert dns.asked == []


async def test_a_policy_it_does_not_name_is_looked_up(dns):
    seen = await see(dns, mail(more=FAILED), peer="127.0.0.1", settings=FRONT)
    assert seen.proof is Proof.SUSPECT
    assert dns.asked == [("_dmarc.acme.example", "TXT")]


async def test_dmarc_is_ours_to_judge_where_it_only_checks_the_rest(dns):
    more = b"Authentication-Results: mx.example.com; dkim=pass header.d=acme.example; spf=none smtp.helo=x.example\r\n"
    assert (await see(dns, mail(more=more), peer=None, settings=FRONT)).proof is Proof.VERIFIED
    assert (await see(dns, mail("a@other.example", more=more), peer=None, settings=FRONT)).proof is Proof.CLAIMED


async def test_what_it_says_of_another_author_proves_nothing(dns):
    seen = await see(dns, mail("vip@bank.example", more=PASSED), peer="127.0.0.1", settings=FRONT)
    assert seen.proof is Proof.CLAIMED


@pytest.mark.parametrize("more", [b"", b"Received: x\r\n" + PASSED.replace(b"mx.", b"my."), FAILED + PASSED])
async def test_a_forged_header_below_is_nobody_s_word(dns, more):
    seen = await see(dns, mail(more=more), peer="127.0.0.1", settings=FRONT)
    assert seen.proof is not Proof.VERIFIED


async def test_who_comes_past_the_server_in_front_brings_no_results(dns):
    assert (await see(dns, mail(more=PASSED), peer=STRANGER, settings=FRONT)).authentication is None
    listed = FRONT | {"trusted_peers": [STRANGER]}
    assert (await see(dns, mail(more=PASSED), peer=STRANGER, settings=listed)).proof is Proof.VERIFIED


async def test_what_a_provider_found_is_kept_and_aligned_by_us(dns):
    found = Authentication(
        source="sendgrid",
        spf=Spf(result="pass", domain="evil.example"),
        dkim=(Dkim(result="pass", domain="acme.example"),),
    )
    seen = await see(dns, mail(), peer=None, authentication=found)
    assert seen.proof is Proof.VERIFIED
    assert seen.evidence == (
        "dmarc=pass p=reject",
        "dkim=pass d=acme.example",
        "spf=pass d=evil.example",
        "checked_by=sendgrid",
    )


@pytest.mark.parametrize(
    ("dkim", "proof"),
    [
        ((), Proof.CLAIMED),  # it may have passed, for all we are told
        ((Dkim(result="none"),), Proof.SUSPECT),
        ((Dkim(result="pass", domain="evil.example"),), Proof.SUSPECT),
    ],
)
async def test_who_tells_but_half_proves_no_forgery(dns, dkim, proof):
    found = Authentication(source="x", spf=Spf(result="pass", domain="evil.example"), dkim=dkim)
    assert (await see(dns, mail("vip@acme.example"), peer=None, authentication=found)).proof is proof


async def test_nor_does_a_server_in_front_that_tells_but_half(dns):
    whole = b"Authentication-Results: mx.example.com; spf=pass smtp.mailfrom=evil.example; dkim=none\r\n"
    half = whole.replace(b"; dkim=none", b"")
    assert (await see(dns, mail(more=whole), peer=None, settings=FRONT)).proof is Proof.SUSPECT
    assert (await see(dns, mail(more=half), peer=None, settings=FRONT)).proof is Proof.CLAIMED


@pytest.mark.parametrize("medium", ["mailgun", "postmark", "sendgrid", "ses"])
async def test_a_provider_is_no_server_in_front_whatever_the_mail_it_posts_says(dns, medium):
    said = b"Authentication-Results: mx.example.com; dmarc=pass header.from=acme.example\r\n"
    checks = Checks(AuthenticationSettings.model_validate(FRONT), resolver=dns)
    for content in (
        said + mail("vip@acme.example"),
        said + signed(mail("vip@acme.example"), "evil.example", selector="e"),
    ):
        found = await checks.examine(Arrival(medium=medium, content=content, mail_from="x@evil.example"))
        assert found is None or (found.source, found.dmarc) == ("gateway", None)
        (message,) = normalize(MailPayload(content=content, authentication=found))
        assert message.proof is Proof.CLAIMED


@pytest.mark.parametrize("nobody", [b"", b"From: \r\n", b"From: undisclosed\r\n"])
async def test_who_stands_in_for_a_missing_author_answers_to_his_domain(dns, nobody):
    content = nobody + mail().partition(b"\r\n")[2]
    forged = await see(dns, content, peer=STRANGER, mail_from="vip@acme.example")
    assert (forged.proof, forged.evidence[:2]) == (Proof.SUSPECT, ("from_missing", "dmarc=fail p=reject"))
    genuine = await see(dns, content, mail_from="vip@acme.example")
    assert (genuine.proof, genuine.evidence[:2]) == (Proof.CLAIMED, ("from_missing", "dmarc=pass p=reject"))


async def test_an_author_below_what_is_read_of_the_header_is_seen(dns):
    below = b"X: y\r\n" * 1000
    alone = await see(dns, below + mail("vip@acme.example"), peer=STRANGER, mail_from="x@evil.example")
    assert (alone.proof, alone.evidence[0]) == (Proof.SUSPECT, "dmarc=fail p=reject")
    second = await see(dns, b"From: vip@acme.example\r\n" + below + signed(mail()))
    assert (second.proof, second.evidence[0]) == (Proof.SUSPECT, "from_headers=2")


async def test_the_settings_say_what_is_wrong_with_them():
    for wrong in (
        {"resolvers": ["dns.example"]},
        {"resolvers": ["192.0.2.1:0"]},
        {"trusted_peers": ["mx.example"]},
        {"timeout": "0s"},
        {"check": "maybe"},
        {"authserv_id": "a b"},
    ):
        with pytest.raises(ValidationError):
            AuthenticationSettings.model_validate(wrong)
    right = AuthenticationSettings(resolvers=("192.0.2.1", "[2001:db8::1]:5353", "2001:db8::1"))
    assert len(right.resolvers) == 3


async def test_every_door_and_inbox_asks_one_dns():
    host = FakeHost("support")
    settings = EmailSettings.model_validate({"type": "email", "recipients": ["support@example.com"]})
    receptions = [Reception(settings, host), Reception(settings, host)]
    await receptions[0].take(Arrival(medium="smtp", content=mail(), peer=PEER, mail_from="minsu@acme.example"))
    means = host.shared(Means)
    assert means.resolver(()) is means.resolver(())
    assert means.resolver(()) is not means.resolver(("192.0.2.1",))
    (payload,) = host.payloads
    assert payload.authentication.spf == Spf(
        result="none", domain="acme.example", aligned=True
    )  # .example is in no DNS
