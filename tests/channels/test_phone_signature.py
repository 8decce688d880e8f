"""Who may report to a phone inbox: Twilio, for this account, at this address."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from channels.api import Refusal
from channels.phone.signature import SIGNATURE, Signatures, hmac_sha1_base64, parse_form, signed_bytes
from channels.verify import hmac_sha256_base64
from tests.channels.phone_door import (
    ACCOUNT,
    CALL,
    OLD_TOKEN,
    SETTINGS,
    SHARED,
    TEXT_MESSAGE,
    TOKEN,
    open_phone,
    post,
    secret,
    send,
    sign,
)

SHARED_KEY = {SETTINGS: "key=webhooks_1,algorithm=HMAC_SHA256"}

# The example of Twilio's security guide; its library's own tests hold the first signature, the second is by its code.
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = b"CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212"

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_the_vector_of_each_algorithm():
    message = signed_bytes(URL, parse_form(FORM))
    assert hmac_sha1_base64(secret("12345"), message) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert hmac_sha256_base64(secret("12345"), message) == "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s="


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(words, words), max_size=8))
def test_any_form_is_signed_as_twilios_library_does(pairs: list[tuple[str, str]]):
    message = signed_bytes(URL, [(name.encode(), value.encode()) for name, value in pairs])
    theirs, fields = RequestValidator("12345"), MultiDict(pairs)
    assert hmac_sha1_base64(secret("12345"), message) == theirs.compute_signature(URL, fields)
    assert hmac_sha256_base64(secret("12345"), message) == theirs.compute_signature(URL, fields, "HMAC_SHA256")


def test_a_form_is_read_as_it_was_written():
    body = b"a=1+2&a=%ED%95%9C&&blank=&none&%F0%9F%98%A2=%0D%0A&b=x=y&odd=%ff%zz"
    assert parse_form(body) == [
        (b"a", b"1 2"),
        (b"a", "한".encode()),
        (b"blank", b""),
        (b"none", b""),
        ("😢".encode(), b"\r\n"),
        (b"b", b"x=y"),
        (b"odd", b"\xff%zz"),
    ]


@pytest.mark.parametrize("public", ["https://gw.example", "https://gw.example:443", "https://gw.example:8443/sub"])
def test_a_port_may_be_written_or_not(public: str):
    signatures = Signatures(public, (secret(TOKEN),), {})
    host = public.removeprefix("https://").partition("/")[0].partition(":")[0]
    port = "8443" if "8443" in public else "443"
    below = "/sub" if public.endswith("/sub") else ""
    for base in (f"https://{host}:{port}{below}", f"https://{host}{below}"):
        signature = hmac_sha1_base64(secret(TOKEN), signed_bytes(f"{base}/voice", []))
        assert signatures.verify({SIGNATURE: signature}, "/voice", [])
    other = hmac_sha1_base64(secret(TOKEN), signed_bytes(f"https://{host}:444{below}/voice", []))
    assert not signatures.verify({SIGNATURE: other}, "/voice", [])


async def test_a_shared_key_signs_where_the_request_names_it():
    signature = sign("/messages", TEXT_MESSAGE, token=SHARED, algorithm="HMAC_SHA256")
    async with open_phone() as door:
        assert (await post(door, "/messages", TEXT_MESSAGE, signature=signature, headers=SHARED_KEY))[0] == 200
        assert (await post(door, "/messages", TEXT_MESSAGE, signature=signature))[0] == 403


@pytest.mark.parametrize("token", [TOKEN, OLD_TOKEN, SHARED])
@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
@pytest.mark.parametrize(
    "named",
    [
        "key=webhooks_2,algorithm=HMAC_SHA256",
        "key=webhooks_1,algorithm=HMAC_SHA1",
        "key=webhooks_1,algorithm=HMAC_MD5",
        "key=webhooks_1",
        "algorithm=HMAC_SHA256",
        "algorithm=none",
    ],
)
async def test_a_header_never_talks_its_way_down(named: str, algorithm: str, token: str):
    signature = sign("/messages", TEXT_MESSAGE, token=token, algorithm=algorithm)
    async with open_phone() as door:
        answer = await post(door, "/messages", TEXT_MESSAGE, signature=signature, headers={SETTINGS: named})
    assert (answer[0], door.host.payloads) == (403, [])


async def test_the_older_algorithm_may_be_named():
    async with open_phone() as door:
        for named in ("", "algorithm=HMAC_SHA1"):
            assert (await post(door, "/messages", TEXT_MESSAGE, headers={SETTINGS: named}))[0] == 200


@pytest.mark.parametrize("signature", [None, " ", "é", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "x" * 5000])
async def test_anything_but_the_signature_is_refused(signature: str | None):
    async with open_phone() as door:
        for path in ("/voice", "/voice/recorded", "/messages", "/messages/status"):
            assert (await post(door, path, CALL, signature=signature))[0] == 403
    assert {why for why, _ in door.host.refusals} == {Refusal.FORGED}
    assert not door.host.payloads


async def test_what_a_request_says_about_its_host_is_not_believed():
    claims = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Host": "evil.example"}
    elsewhere = sign("/messages", TEXT_MESSAGE, base="https://evil.example/channels/inbox")
    async with open_phone() as door:
        assert (await post(door, "/messages", TEXT_MESSAGE, signature=elsewhere, headers=claims))[0] == 403
        assert (await post(door, "/messages", TEXT_MESSAGE, headers=claims))[0] == 200


async def test_the_query_is_signed_too():
    async with open_phone() as door:
        assert (await post(door, "/voice/recorded?lang=en", CALL))[0] == 200
        signature = sign("/voice/recorded", CALL)
        assert (await post(door, "/voice/recorded?lang=en", CALL, signature=signature))[0] == 403


@pytest.mark.parametrize("accounts", [[], ["AC9"], [ACCOUNT, "AC9"], ["AC9", ACCOUNT], [ACCOUNT.lower()], [""]])
async def test_another_account_is_refused(accounts: list[str]):
    fields = [*((k, v) for k, v in TEXT_MESSAGE.items() if k != "AccountSid"), *(("AccountSid", a) for a in accounts)]
    async with open_phone() as door:
        assert (await post(door, "/messages", fields))[0] == 403
    assert [why for why, _ in door.host.refusals] == [Refusal.FORGED]


async def test_repeated_and_new_parameters_are_fine():
    fields = [*TEXT_MESSAGE.items(), *TEXT_MESSAGE.items(), ("Body", "another"), ("SomethingNew", "하나"), ("", "")]
    async with open_phone() as door:
        assert (await post(door, "/messages", fields))[0] == 200


async def test_more_fields_than_any_form_has_are_refused_unread():
    body = b"a=b&" * 1000
    async with open_phone() as door:
        assert (await send(door, "/messages", body, {SIGNATURE: "x"}))[0] == 413
    assert [why for why, _ in door.host.refusals] == [Refusal.OVERSIZED]
