"""Signatures as the library makes them, and as strangers break them."""

import base64
import hashlib
import random

import dkim  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from channels.email.arrival import Arrival
from channels.email.authentication import body_hash, dkim_check
from channels.email.authentication.body_hash import body_digest
from channels.email.authentication.checks import Checks
from channels.email.authentication.dkim_check import MOST_SIGNATURES
from channels.email.authentication.settings import AuthenticationSettings
from tests.channels.fake_dns import (
    FakeDns,
    public_key,
    signed,
    signed_with_ed25519,
    signed_with_tags,
    signed_without_from,
)

MAIL = (
    b"From: Minsu Kim <minsu@acme.example>\r\nTo: support@example.com\r\nSubject: Login page\r\n"
    b"Message-ID: <1@acme.example>\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\r\n"
    b"It  does not\topen. \r\n\r\n.\r\n\r\n"
)


@pytest.fixture
def dns():
    dns = FakeDns()
    dns.publish("acme.example")
    return dns


async def found(dns, mail, **arrival):
    """What was found out about its signatures."""
    checks = Checks(AuthenticationSettings(), resolver=dns)
    authentication = await checks.examine(Arrival(medium="smtp", content=mail, **arrival))
    return [] if authentication is None else list(authentication.dkim)


async def results(dns, mail, **arrival):
    return [one.result for one in await found(dns, mail, **arrival)]


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
async def test_a_good_signature_passes(dns, header, body):
    (one,) = await found(dns, signed(MAIL, canonicalize=(header, body)))
    assert (one.result, one.domain, one.selector, one.aligned) == ("pass", "acme.example", "k1", True)


async def test_more_fields_than_are_read_are_not_searched_for_each_that_is_signed(dns):
    assert await results(dns, signed(b"a:\r\n" * 990 + MAIL)) == ["pass"]
    assert await results(dns, signed(MAIL.replace(b"\r\n\r\n", b"\r\n" + b"a:\r\n" * 1000 + b"\r\n", 1))) == ["policy"]


async def test_a_mail_on_the_scratch_disk_is_checked_where_it_is(dns, tmp_path):
    mail = signed(MAIL + b"x" * 80 * 1024 + b"\r\n" + b" y\r\n" * 100_000)
    file = tmp_path / "mail"
    file.write_bytes(mail)
    assert await results(dns, b"", file=file) == ["pass"]
    file.write_bytes(mail + b"one more line\r\n")
    assert await results(dns, b"", file=file) == ["fail"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"It  does", b"It never does"),
        (b"Subject: Login", b"Subject: Logout"),
        (b"Minsu Kim <minsu@", b"Vip <vip@"),
        (b"From: Minsu", b"From: Vip <vip@acme.example>\r\nFrom: Minsu"),
        (b".\r\n\r\n", b".\r\n-- \r\nsent through a list\r\n"),
    ],
)
async def test_what_was_changed_on_the_way_fails(dns, old, new):
    mail = signed(MAIL)
    assert old in mail
    assert await results(dns, mail.replace(old, new)) == ["fail"]


async def test_white_space_is_forgiven_where_the_signer_said_so(dns):
    assert await results(
        dns, signed(MAIL).replace(b"It  does", b"It   does").replace(b"\r\n\r\n.", b" \r\n \r\n.")
    ) == ["pass"]
    simple = signed(MAIL, canonicalize=(b"simple", b"simple"))
    assert await results(dns, simple.replace(b"It  does", b"It   does")) == ["fail"]


async def test_each_signature_has_its_own_result_and_the_aligned_come_first(dns):
    dns.publish("list.example", selector="l")
    mail = signed(signed(MAIL), "list.example", selector="l", include_headers=[b"from", b"subject"])
    one, other = await found(dns, mail)
    assert (one.domain, one.result, one.aligned) == ("acme.example", "pass", True)
    assert (other.domain, other.result, other.aligned) == ("list.example", "pass", False)


async def test_a_list_that_adds_a_footer_leaves_its_own_signature_only(dns):
    dns.publish("list.example", selector="l")
    mail = signed(signed(MAIL) + b"_____\r\nto leave: write\r\n", "list.example", selector="l")
    assert [(one.domain, one.result) for one in await found(dns, mail)] == [
        ("acme.example", "fail"),
        ("list.example", "pass"),
    ]


async def test_a_signature_of_a_part_of_the_body_is_none_to_rely_on(dns):
    mail = signed(MAIL, length=True)
    assert await results(dns, mail) == ["pass"]
    assert await results(dns, mail + b"wire the money\r\n") == ["policy"]


async def test_a_signature_that_leaves_from_out_is_none(dns):
    mail = signed_without_from(MAIL)
    assert dkim.verify(mail, dnsfunc=lambda name, timeout: f"p={public_key()}".encode())
    assert await results(dns, mail) == ["permerror"]


async def test_a_key_that_is_not_answered_for_is_no_failure_of_the_sender(dns):
    dns.silent("k1._domainkey.acme.example")
    assert await results(dns, signed(MAIL)) == ["temperror"]


async def test_a_key_that_is_not_there_or_revoked_proves_nothing(dns):
    assert await results(dns, signed(MAIL, selector="gone")) == ["permerror"]
    dns.txt("k1._domainkey.acme.example", "v=DKIM1; k=rsa; p=")
    assert await results(dns, signed(MAIL)) == ["permerror"]


@pytest.mark.parametrize(
    ("record", "result"),
    [
        ("p={key}", "pass"),
        ("v=DKIM1; h=sha1:sha256; s=email:tlsrpt; t=y; p={key}", "pass"),
        ("v=DKIM1; h=sha1; p={key}", "permerror"),
        ("v=DKIM1; s=tlsrpt; p={key}", "permerror"),
        ("v=DKIM2; p={key}", "permerror"),
        ("v=DKIM1; k=ed25519; p={key}", "permerror"),
        ("v=DKIM1; p=!!", "permerror"),
        ("v=DKIM1; p=AAAA", "permerror"),
        ("v=DKIM1; p={key}; p={key}", "permerror"),
        ("nonsense", "permerror"),
        ("", "permerror"),
        ("v=DKIM1; n=" + "x" * 9000 + "; p={key}", "policy"),
        ("v=DKIM1; 뷁=x; p={key}", "permerror"),
    ],
)
async def test_the_key_record_says_what_it_is_for(dns, record, result):
    dns.txt("k1._domainkey.acme.example", record.replace("{key}", public_key()))
    assert await results(dns, signed(MAIL)) == [result]


async def test_a_key_for_the_domain_itself_signs_for_no_part_of_it(dns):
    dns.publish("acme.example", tags="v=DKIM1; t=s:y;")
    assert await results(dns, signed(MAIL)) == ["pass"]
    assert await results(dns, signed(MAIL, identity=b"@sub.acme.example")) == ["permerror"]


@pytest.mark.parametrize("bits", [1024, 4096])
async def test_keys_of_usual_lengths_are_believed(dns, bits):
    dns.publish("acme.example", bits=bits)
    assert await results(dns, signed(MAIL, bits=bits)) == ["pass"]


async def test_a_weak_key_is_not(dns):
    # 512 bits, which the libraries make no more: factored in an afternoon
    numbers = rsa.RSAPublicNumbers(65537, 2**511 + 111)
    weak = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    dns.txt("k1._domainkey.acme.example", f"v=DKIM1; p={base64.b64encode(weak).decode()}")
    assert await results(dns, signed(MAIL)) == ["policy"]


async def test_sha_1_proves_nothing_any_more(dns):
    assert await results(dns, signed(MAIL, signature_algorithm=b"rsa-sha1")) == ["policy"]


async def test_elliptic_keys_are_known(dns):
    mail, record = signed_with_ed25519(MAIL, "acme.example", "e1")
    dns.txt("e1._domainkey.acme.example", record)
    assert await results(dns, mail) == ["pass"]
    assert await results(dns, mail.replace(b"Login page", b"Logout page")) == ["fail"]
    assert await results(dns, mail.replace(b"a=ed25519-sha256", b"a=rsa-sha256")) == ["permerror"]


async def test_an_expired_signature_is_none(dns):
    assert await results(dns, signed_with_tags(MAIL, {b"x": b"4000000000"})) == ["pass"]
    assert await results(dns, signed_with_tags(MAIL, {b"x": b"1100000000"})) == ["permerror"]


async def test_a_signature_of_more_than_there_is_is_none(dns):
    assert await results(dns, signed_with_tags(MAIL, {b"l": b"99999"})) == ["permerror"]


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b";;;=;",
        b"v=1; d=acme.example; s=k1",
        b"v=1; d=; s=k1; a=rsa-sha256; b=; bh=; h=from",
        b"v=1; d=acme.example; s=..; a=rsa-sha256; b=AAAA; bh=AAAA; h=from",
        b"v=1; d=acme.example; s=k1; a=rsa-sha256; b=AAAA; bh=AAAA; h=from; i=acme.example",
        b"v=1; d=acme.example; s=k1; a=rsa-sha256; b=AAAA; bh=AAAA; h=from; l=",
        b"v=1; d=acme.example; s=k1; a=rsa-sha256; b=AAAA; bh=\xff; h=from:\xff",
        b"v=1; d=\xeb\xb7\x81.example; s=k1; a=rsa-sha256; b=AAAA; bh=AAAA; h=from",
        b"v=1; d=acme.example; s=k1; a=rsa-sha256; b=AAAA; bh=AAAA; c=none/none; h=from",
        b"v=1; d=acme.example; s=k1; a=rsa-sha256; b=AAAA; bh=AAAA; h=" + b":".join(b"x%d" % n for n in range(900)),
        b"v=1; d=acme.example; s=k1; a=rsa-sha256; b=AAAA; bh=AAAA; h=from:" + b" " * 500,
        b"v=1; d=acme.example; s=k1; a=rsa-sha256; b=A" + b"A" * 20_000,
    ],
)
async def test_nonsense_is_never_a_pass(dns, signature):
    (result,) = await results(dns, b"DKIM-Signature: " + signature + b"\r\n" + MAIL)
    assert result in ("fail", "permerror", "policy")


async def test_a_header_that_can_be_read_in_two_ways_is_not_signed(dns):
    mail = signed(MAIL)
    assert await results(dns, mail.replace(b"\r\nTo:", b"\r\nFrom : vip@acme.example\r\nTo:")) == ["permerror"]


async def test_only_so_many_signatures_are_looked_at_and_the_author_s_are_among_them(dns):
    mail = signed(MAIL)
    noise = b"".join(
        b"DKIM-Signature: v=1; d=x%d.example; s=k; a=rsa-sha256; b=AAAA; bh=AAAA; h=from\r\n" % n for n in range(20)
    )
    signatures = await found(dns, noise + mail)
    assert len(signatures) == MOST_SIGNATURES
    assert signatures[0].result == "pass"
    assert len([kind for name, kind in dns.asked if "_domainkey" in name]) == MOST_SIGNATURES


async def test_beyond_a_size_it_is_not_checked_and_says_so(dns, monkeypatch):
    monkeypatch.setattr(dkim_check, "LARGEST_MAIL", len(signed(MAIL)) - 1)
    assert await results(dns, signed(MAIL)) == ["policy"]


def library_digest(body: bytes, *, relaxed: bool) -> bytes:
    """What the library would hash."""
    name = b"relaxed" if relaxed else b"simple"
    policy = dkim.canonicalization.CanonicalizationPolicy.from_c_value(b"simple/" + name)
    _, parsed = dkim.rfc822_parse(b"A: b\r\n\r\n" + body)
    return hashlib.sha256(policy.canonicalize_body(parsed)).digest()


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\n", b"\r", b"x", b"yz"]), max_size=30), st.booleans())
def test_a_body_is_hashed_as_the_library_does(pieces, relaxed):
    body = b"".join(pieces) + b"\r\n"
    assert body_digest(body, 0, relaxed=relaxed).value == library_digest(body, relaxed=relaxed)


@pytest.mark.parametrize("relaxed", [True, False])
def test_where_a_body_is_divided_makes_no_difference(relaxed, monkeypatch):
    chance = random.Random(7)
    for size in (1, 2, 3, 5):
        monkeypatch.setattr(body_hash, "PIECE", size)
        for _ in range(150):
            body = (
                b"".join(chance.choices([b" ", b"\t", b"\r\n", b"\n", b"\r", b"x", b"yz"], k=chance.randrange(20)))
                + b"\n"
            )
            assert body_digest(body, 0, relaxed=relaxed).value == library_digest(body, relaxed=relaxed), (size, body)


def test_long_white_space_is_hashed_at_once():
    # the library's pattern takes quadratic time here: hours
    body = b" " * 2_000_000 + b"x\r\n" + b"\r\n" * 1_000_000 + b"end"
    digest = body_digest(body, 0, relaxed=True)
    assert digest.length == len(b" x\r\n") + 2_000_000 + len(b"end\r\n")
