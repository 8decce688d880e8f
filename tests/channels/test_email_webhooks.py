"""Each provider's webhook keeps the adapter's promises, in that provider's own answers."""

import asyncio
import dataclasses

import pytest
from pydantic import ValidationError

from channels.api import Outcome, Refusal
from channels.email import CHANNEL
from channels.email.settings import EmailSettings
from channels.testing import TEXT, AdapterContract, Door, open_door
from tests.channels.email_door import listening
from tests.channels.webhook_door import (
    AT_NOW,
    BY,
    CREDENTIAL,
    NEW,
    OLD,
    OLD_CREDENTIAL,
    PATIENCE,
    TO,
    as_by_lf,
    by_mailgun,
    by_postmark,
    by_sendgrid,
    by_sns,
    email_settings,
    mail,
    notice,
    open_webhooks,
    post,
    received,
)

NAMES = sorted(BY)
LIMIT = 100_000


class _Webhook(AdapterContract):
    channel = AT_NOW
    provider: str
    answers = {Outcome.ACCEPTED: "200", Outcome.REJECTED: "200", Outcome.DEFERRED: "503"}  # noqa: RUF012
    forged_answer = "401"
    oversized_answer = "403"
    secrets = (NEW, OLD, CREDENTIAL, OLD_CREDENTIAL)

    def settings(self) -> EmailSettings:
        return email_settings(max_size=LIMIT)

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        return str((await post(door, BY[self.provider](mail(text, key=key))))[0])

    async def deliver_forged(self, door: Door) -> str:
        sending = BY[self.provider](mail())
        tampered = dataclasses.replace(sending, body=sending.body.replace(b"acme", b"evil"))
        assert tampered.body != sending.body
        return str((await post(door, tampered))[0])

    async def deliver_oversized(self, door: Door) -> str:
        return str((await post(door, BY[self.provider](mail() + b"x" * 70 + b"\r\n" * LIMIT)))[0])


class TestSendGrid(_Webhook):
    provider = "sendgrid"


class TestMailgun(_Webhook):
    provider = "mailgun"
    oversized_answer = "406"

    async def deliver_forged(self, door: Door) -> str:
        return str((await post(door, by_mailgun(mail(), key="somebody else's")))[0])


class TestPostmark(_Webhook):
    provider = "postmark"

    async def deliver_forged(self, door: Door) -> str:
        return str((await post(door, by_postmark(mail(), key="provider:a-wrong-password")))[0])


class TestSes(_Webhook):
    provider = "ses"

    async def deliver_forged(self, door: Door) -> str:
        document = notice(received(mail()))
        return str((await post(door, by_sns(document, Message=document.message.replace("acme", "evil"))))[0])


del _Webhook


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_mail_is_one_whatever_door_it_comes_through(name: str):
    content = mail("안녕하세요\n.a line with a dot\n\n")
    async with listening() as server:
        await (await server.client()).deliver(content)
    async with open_webhooks() as door:
        assert (await post(door, BY[name](as_by_lf(content))))[0] == 200
        assert (await post(door, BY[name](content.rstrip(b"\r\n"))))[0] == 200
    (by_smtp,) = [message for payload in server.host.payloads for message in CHANNEL.normalize(payload)]
    posted = [message for payload in door.host.payloads for message in CHANNEL.normalize(payload)]
    assert [(one.external_id, one.identity) for one in posted] == [(by_smtp.external_id, by_smtp.identity)] * 2
    assert [one.text for one in posted] == [by_smtp.text] * 2
    assert [one.medium for one in posted] == [name] * 2


@pytest.mark.parametrize("name", NAMES)
async def test_the_envelope_is_the_providers_not_the_headers(name: str):
    async with open_webhooks() as door:
        await post(door, BY[name](mail(to="somebody@else.example"), to="Support+Tag@example.com", sender="b@c.example"))
    (payload,) = door.host.payloads
    assert payload.recipients == ("support+Tag@example.com",)
    assert payload.mail_from == "b@c.example"


@pytest.mark.parametrize("name", ["sendgrid", "mailgun", "ses"])
async def test_of_several_recipients_ours_are_kept(name: str):
    async with open_webhooks() as door:
        await post(door, BY[name](mail(), to=f"x@else.example, {TO}, billing@example.com, {TO}"))
    (payload,) = door.host.payloads
    assert payload.recipients == (TO, "billing@example.com")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("content", "to", "why"),
    [
        (mail(), "somebody@else.example", Refusal.FORGED),
        (mail(), "nobody@example.com", Refusal.FORGED),
        (mail(X_Gateway_Loop=TO), TO, Refusal.LOOP),
        (b"Received: from a by b\r\n" * 51 + mail(), TO, Refusal.LOOP),
        (mail() + b"x\r\n" * 10_000, TO, Refusal.OVERSIZED),
    ],
    ids=["domain", "mailbox", "own-mark", "hops", "size"],
)
async def test_what_can_never_be_taken_is_sent_once(name: str, content: bytes, to: str, why: Refusal):
    async with open_webhooks(max_size=20_000) as door:
        status, answer = await post(door, BY[name](content, to=to))
    assert not PATIENCE[name].again(status)
    assert not PATIENCE[name].taken(status)
    assert answer["detail"]
    assert [one for one, _ in door.host.refusals] == [why]
    assert door.host.payloads == []


@pytest.mark.parametrize("name", NAMES)
async def test_what_was_deferred_comes_again_and_is_taken(name: str):
    async with open_webhooks() as door:
        sending = BY[name](mail())
        for outcome in (Outcome.DEFERRED, Outcome.DEFERRED, Outcome.ACCEPTED):
            door.host.outcome = outcome
            status, _ = await post(door, sending)
            if not PATIENCE[name].again(status):
                break
        assert PATIENCE[name].taken(status)
    assert len(door.host.payloads) == 3
    assert len({message.identity for one in door.host.payloads for message in CHANNEL.normalize(one)}) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_too_slow_to_be_kept_is_sent_again(name: str):
    async with open_webhooks(accept_timeout="50ms") as door:
        door.host.go_on.clear()
        status, _ = await post(door, BY[name](mail()))
        assert PATIENCE[name].again(status)
        door.host.go_on.set()


async def test_memory_is_bounded_and_who_comes_too_many_comes_again():
    async with open_webhooks(max_memory=4000) as door:
        door.host.go_on.clear()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(post(door, by_mailgun(mail(key="1"))))
            await door.host.handed_over.wait()
            status, _ = await post(door, by_mailgun(mail("x" * 4000, key="2")))
            assert status == 503
            door.host.go_on.set()
        assert first.result()[0] == 200
        assert (await post(door, by_mailgun(mail("x" * 4000, key="2"))))[0] == 200
    assert door.host.refusals == [(Refusal.TOO_MANY, "webhooks over max_memory")]


async def test_who_is_not_configured_has_no_address():
    async with open_webhooks(webhooks={"mailgun": {"signing_keys": [NEW]}}) as door:
        assert [route.path for route in door.adapter.routes()] == ["/mailgun/mime", "/mailgun"]


@pytest.mark.parametrize("sending", [by_sendgrid(mail()), by_postmark(mail())], ids=["sendgrid", "postmark"])
async def test_the_adapter_itself_has_them(sending):
    async with open_door(CHANNEL, email_settings()) as door:
        assert (await post(door, sending))[0] == 200
        assert len(door.host.payloads) == 1


async def test_return_path_of_nobody_is_kept():
    async with open_webhooks() as door:
        for name in NAMES:
            await post(door, BY[name](mail(), sender=""))
    assert [payload.mail_from for payload in door.host.payloads] == [""] * len(NAMES)


@pytest.mark.parametrize(
    ("webhooks", "words"),
    [
        ({"sendgrid": {}}, "needs public_keys or credentials"),
        ({"sendgrid": {"public_keys": ["bm90IGEga2V5"]}}, "must be the public key that SendGrid shows"),
        ({"sendgrid": {"credentials": ["user:short"]}}, "user:password, the password of 12"),
        ({"postmark": {"credentials": [":a-long-password"]}}, "user:password"),
        ({"postmark": {"credentials": []}}, "at least 1 item"),
        ({"mailgun": {"signing_keys": [""]}}, "at least 1 item"),
        ({"mailgun": {"signing_keys": []}}, "at least 1 item"),
        ({"ses": {"topics": ["mail"]}}, "the ARN of an SNS topic"),
        ({"ses": {"topics": []}}, "at least 1 item"),
        ({"sparkpost": {}}, "Extra inputs"),
        ({}, "nothing else brings mail"),
    ],
)
def test_settings_that_let_anybody_in_are_refused(webhooks, words: str):
    with pytest.raises(ValidationError, match=words):
        email_settings(webhooks=webhooks)
