"""What is particular to SendGrid, Mailgun and Postmark: proofs, set-ups gone wrong, odd bytes."""

import dataclasses
import json
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from channels import registry
from channels.api import FrontDoor, Refusal, SimulateError
from channels.email import CHANNEL
from channels.email.line_ends import as_by_smtp
from channels.email.simulate import simulate
from channels.email.webhooks.credentials import AUTHORIZATION
from channels.email.webhooks.rehearsal import Sending, multipart
from channels.email.webhooks.sendgrid import SIGNATURE, TIMESTAMP
from channels.testing import Door, open_door
from tests.channels.webhook_door import (
    CREDENTIAL,
    NEW,
    NOW,
    OLD,
    OLD_CREDENTIAL,
    PATIENCE,
    SENDER,
    SENDGRID_KEY,
    TO,
    arrivals,
    by_mailgun,
    by_postmark,
    by_sendgrid,
    email_settings,
    mail,
    open_webhooks,
    post,
    public,
    signed_by_sendgrid,
)

OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
CP949 = (
    b"From: a@b.example\r\nMessage-ID: <8bit@b.example>\r\nContent-Type: text/plain; charset=cp949\r\n\r\n"
    b"\x8cc\xb9\xe6\xff\x00+%41\r\n"
)


def without(sending: Sending, *headers: str) -> Sending:
    return dataclasses.replace(sending, headers={k: v for k, v in sending.headers.items() if k not in headers})


def postmark(**fields: Any) -> Sending:
    sending = by_postmark(mail())
    document = {k: v for k, v in (json.loads(sending.body) | fields).items() if v is not None}
    return dataclasses.replace(sending, body=json.dumps(document).encode())


def form(sending: Sending, **fields: str | bytes | None) -> Sending:
    """The same form of Mailgun's with other fields, as multipart."""
    pairs = dict(part.split(b"=", 1) for part in sending.body.split(b"&"))
    values = {k.decode(): unquote_to_bytes(v.replace(b"+", b" ")) for k, v in pairs.items()}
    for name, value in fields.items():
        values.pop(name.replace("_", "-"), None)
        if value is not None:
            values[name.replace("_", "-")] = value.encode() if isinstance(value, str) else value
    content_type, body = multipart([(k.encode(), v) for k, v in values.items()])
    return dataclasses.replace(sending, body=body, headers={"Content-Type": content_type})


async def refused(door: Door, sending: Sending) -> tuple[int, str, str]:
    status, answer = await post(door, sending)
    assert door.host.payloads == []
    ((why, detail),) = door.host.refusals
    door.host.refusals.clear()
    return status, detail if why is not Refusal.FORGED else f"forged: {detail}", str(answer["detail"])


async def test_every_key_and_credential_is_good_until_it_is_taken_off_the_list():
    keys = [public(OTHER_KEY), public(SENDGRID_KEY)]
    sendgrid = {"public_keys": keys, "credentials": [CREDENTIAL, OLD_CREDENTIAL]}
    lists = {
        "sendgrid": sendgrid,
        "mailgun": {"signing_keys": [NEW, OLD]},
        "postmark": {"credentials": [CREDENTIAL, OLD_CREDENTIAL]},
    }
    async with open_webhooks(webhooks=lists) as door:
        for key in (CREDENTIAL, OLD_CREDENTIAL):
            assert (await post(door, by_sendgrid(mail(), key=key)))[0] == 200
            assert (await post(door, by_postmark(mail(), key=key)))[0] == 200
        for key in (NEW, OLD):
            assert (await post(door, by_mailgun(mail(), key=key)))[0] == 200
    assert len(door.host.payloads) == 6


@pytest.mark.parametrize(
    ("sending", "detail"),
    [
        (without(by_sendgrid(mail()), SIGNATURE), "no signature of sendgrid"),
        (without(by_sendgrid(mail()), TIMESTAMP), "signature of no sendgrid key"),
        (without(by_sendgrid(mail()), AUTHORIZATION), "no credential of sendgrid"),
        (by_sendgrid(mail(), key="provider:somebody-else's"), "no credential of sendgrid"),
        (signed_by_sendgrid("text/plain", b"x", signer=OTHER_KEY), "signature of no sendgrid key"),
        (by_mailgun(mail(), key="another"), "signature of no mailgun key"),
        (by_mailgun(mail(), at=NOW - 12 * 3600 - 1), "time stamp of mailgun"),
        (by_mailgun(mail(), at=NOW + 12 * 3600 + 1), "time stamp of mailgun"),
        (form(by_mailgun(mail()), token=None), "no token of mailgun"),
        (form(by_mailgun(mail()), token="x" * 201), "no token of mailgun"),
        (form(by_mailgun(mail()), signature="ä"), "signature of no mailgun key"),
        (form(by_mailgun(mail()), timestamp="nan"), "signature of no mailgun key"),
        (without(by_postmark(mail()), AUTHORIZATION), "no credential of postmark"),
        (by_postmark(mail(), key="provider:somebody-else's"), "no credential of postmark"),
    ],
)
async def test_nobody_gets_in_under_a_providers_name(sending: Sending, detail: str):
    async with open_webhooks() as door:
        status, why, words = await refused(door, sending)
    assert (status, why) == (401, f"forged: {detail}")
    assert words


@pytest.mark.parametrize("header", ["Basic", "Basic ", "Basic !!", "Bearer x", "Basic cHJvdmlkZXI6", "basic \xe4"])
async def test_odd_credentials_are_none(header: str):
    async with open_webhooks() as door:
        sending = by_postmark(mail())
        assert (await post(door, sending, **{AUTHORIZATION: header}))[0] == 401


async def test_a_signature_alone_or_a_password_alone_is_enough_where_only_that_is_asked():
    for section in ({"public_keys": [public(SENDGRID_KEY)]}, {"credentials": [CREDENTIAL]}):
        async with open_webhooks(webhooks={"sendgrid": section}) as door:
            sending = by_sendgrid(mail())
            bare = without(sending, AUTHORIZATION if "public_keys" in section else SIGNATURE)
            assert (await post(door, bare))[0] == 200


async def test_a_token_of_mailgun_vouches_for_one_mail():
    async with open_webhooks() as door:
        first = by_mailgun(mail("mine"))
        overheard = form(first, body_mime=mail("his"))
        assert (await post(door, first))[0] == 200
        assert (await post(door, overheard))[0] == 401
        assert (await post(door, first))[0] == 200
    assert [payload.content for payload in door.host.payloads] == [mail("mine")] * 2
    assert door.host.refusals == [(Refusal.FORGED, "token of another mail")]


@pytest.mark.parametrize(
    ("name", "sending", "words"),
    [
        ("postmark", postmark(RawEmail=None), "Include raw email content"),
        ("postmark", postmark(RawEmail=""), "Include raw email content"),
        ("postmark", dataclasses.replace(by_postmark(mail()), body=b"{"), "no inbound message"),
        ("postmark", dataclasses.replace(by_postmark(mail()), body=b"[]"), "no inbound message"),
        ("postmark", postmark(RawEmail=5), "no inbound message"),
        ("mailgun", form(by_mailgun(mail()), body_mime=None, body_plain="hi"), "ending in /mailgun/mime"),
        (
            "mailgun",
            dataclasses.replace(by_mailgun(mail()), headers={"Content-Type": "text/plain"}),
            "form is expected",
        ),
        ("sendgrid", signed_by_sendgrid(*multipart([(b"text", b"hi"), (b"envelope", b"{}")])), "full MIME message"),
        ("sendgrid", signed_by_sendgrid(*multipart([(b"email", b"a")])), "no envelope"),
        ("sendgrid", signed_by_sendgrid(*multipart([(b"email", b"a"), (b"envelope", b"[")])), "no envelope"),
        ("sendgrid", signed_by_sendgrid("multipart/form-data; boundary=x", b"--x\r\n"), "cannot be read"),
        ("sendgrid", signed_by_sendgrid("multipart/form-data", b"--x\r\n"), "form is expected"),
    ],
)
async def test_a_set_up_without_raw_mail_says_what_to_mend_and_loses_nothing(name: str, sending: Sending, words: str):
    async with open_webhooks() as door:
        status, _, said = await refused(door, sending)
    assert words in said
    assert PATIENCE[name].again(status)


@pytest.mark.parametrize(
    ("name", "sending"),
    [
        ("postmark", postmark(RecordType="Bounce", RawEmail=None)),
        ("postmark", postmark(RecordType="Open", RawEmail=None)),
        ("mailgun", form(by_mailgun(mail()), body_mime=None, event="opened")),
    ],
)
async def test_another_kind_of_webhook_is_told_so_once(name: str, sending: Sending):
    async with open_webhooks() as door:
        status, detail, said = await refused(door, sending)
    assert "event" in detail
    assert "You seem to have set" in said
    assert not PATIENCE[name].again(status)


@pytest.mark.parametrize(("networks", "status"), [(["127.0.0.0/8", "::1/128"], 200), (["192.0.2.0/24"], 401)])
async def test_postmark_from_listed_peers_only(networks: list[str], status: int):
    async with open_webhooks(webhooks={"postmark": {"credentials": [CREDENTIAL], "networks": networks}}) as door:
        assert (await post(door, by_postmark(mail())))[0] == status


@pytest.mark.parametrize(
    ("fields", "recipient", "mail_from"),
    [
        ({}, TO, SENDER),
        ({"MailboxHash": "t.abc"}, "support+t.abc@example.com", SENDER),
        ({"OriginalRecipient": "support+x@example.com", "MailboxHash": "x"}, "support+x@example.com", SENDER),
        ({"Headers": [{"Name": "Return-Path", "Value": "<>"}]}, TO, ""),
        ({"Headers": []}, TO, SENDER),
        ({"Headers": [], "FromFull": None}, TO, ""),
    ],
)
async def test_postmarks_envelope(fields: dict[str, Any], recipient: str, mail_from: str):
    async with open_webhooks() as door:
        await post(door, postmark(**fields))
    (payload,) = door.host.payloads
    assert (payload.recipients, payload.mail_from) == ((recipient,), mail_from)


@pytest.mark.parametrize("sending", [by_sendgrid(CP949), by_mailgun(CP949), form(by_mailgun(CP949))])
async def test_bytes_of_any_charset_arrive_as_they_were_sent(sending: Sending):
    async with open_webhooks() as door:
        assert (await post(door, sending))[0] == 200
    (payload,) = door.host.payloads
    assert payload.content == CP949


async def test_forms_of_another_writer_are_read_as_well():
    """aiohttp's own client writes the form: file parts, part headers of every kind."""
    sending = by_mailgun(mail("안녕"))
    fields = {name: values[0] for name, values in parse_qs(sending.body.decode()).items()}
    data = aiohttp.FormData()
    for name, value in fields.items():
        if name == "body-mime":
            data.add_field(name, value.encode(), filename="mail.eml", content_type="message/rfc822")
        else:
            data.add_field(name, value)
    async with (
        open_webhooks() as door,
        aiohttp.ClientSession() as client,
        client.post(f"{door.url}/mailgun/mime", data=data) as answer,
    ):
        assert answer.status == 200
        assert [payload.content for payload in door.host.payloads] == [mail("안녕")]


async def test_the_client_sendgrid_saw_is_asked_about_by_spf_and_nobody_else():
    async with open_webhooks() as door:
        seen = arrivals(door)
        for sending in (by_sendgrid(mail()), by_mailgun(mail()), by_postmark(mail())):
            assert (await post(door, sending))[0] == 200
    assert [(one.medium, one.peer) for one in seen] == [
        ("sendgrid", "192.0.2.7"),
        ("mailgun", None),
        ("postmark", None),
    ]
    assert [one.authentication for one in seen] == [None] * 3


@pytest.mark.parametrize("content", [b"a\nb\n", b"a\r\nb", b"a\rb\r\r\n", b"", b"\r", b"\n\r\n"])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_line_ends_become_those_of_smtp_wherever_a_piece_is_cut(content: bytes, at: int):
    long = b"x" * (256 * 1024 - at) + content
    for given in (content, long):
        ended = as_by_smtp(given)
        assert ended.replace(b"\r\n", b"").count(b"\n") == ended.replace(b"\r\n", b"").count(b"\r") == 0
        assert ended.endswith(b"\r\n") or not given
        assert as_by_smtp(ended) == ended
    assert as_by_smtp(long) == as_by_smtp(b"x" * 10 + content).replace(b"x" * 10, b"x" * (256 * 1024 - at), 1)


def front(door: Door) -> FrontDoor:
    return FrontDoor(inbox="inbox", url=door.url, public_url=door.host.public_url)


@pytest.mark.parametrize("via", ["mailgun", "postmark", "sendgrid"])
@pytest.mark.parametrize("said", [True, False])
async def test_simulate_knocks_at_each_door(via: str, said: bool):
    sections = {
        "mailgun": {"signing_keys": [NEW]},
        "postmark": {"credentials": [CREDENTIAL]},
        "sendgrid": {"credentials": [CREDENTIAL]},
    }
    settings = email_settings(webhooks=sections if said else {via: sections[via]})
    sample = registry.samples("email")[0].read_bytes()
    async with open_door(CHANNEL, settings) as door:
        line = await simulate(
            settings, front(door), sample, {"to": "support+x@example.com"} | ({"via": via} if said else {})
        )
        assert line.startswith("200 ")
        assert "T-7K3M-9QXR" in line
    (payload,) = door.host.payloads
    assert (payload.medium, payload.recipients) == (via, ("support+x@example.com",))
    assert payload.mail_from in str(message_from_bytes(payload.content)["From"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"via": "pigeon"}, "via is smtp, mailgun, postmark, sendgrid, ses, not pigeon"),
        ({"via": "ses"}, "only ses itself has the key"),
        ({"via": "sendgrid"}, "only sendgrid itself has the key"),
        ({"via": "smtp"}, "its listen is null"),
        ({"via": "mailgun", "to": "nobody@example.com"}, "refused it: 406"),
    ],
)
async def test_simulate_says_why_not(given: dict[str, str], words: str):
    settings = email_settings()
    async with open_door(CHANNEL, settings) as door:
        with pytest.raises(SimulateError, match=words):
            await simulate(settings, front(door), mail(), given)
        bare = email_settings(listen="127.0.0.1:0", webhooks={})
        with pytest.raises(SimulateError, match=r"webhooks\.mailgun of this inbox is not configured"):
            await simulate(bare, front(door), mail(), {"via": "mailgun"})
