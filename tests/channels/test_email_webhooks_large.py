"""Posts that are large, or say they are: what they may take, and what others wait for meanwhile."""

import asyncio
import gzip
import json
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.api import Refusal
from channels.email.webhooks import long_json
from channels.email.webhooks.long_json import set_aside, text
from tests.channels.webhook_door import (
    BY,
    PATIENCE,
    arrivals,
    by_mailgun,
    by_postmark,
    mail,
    open_webhooks,
    post,
    webhooks,
)


@given(
    st.dictionaries(st.text('ab"', max_size=5), st.text(st.characters(codec="utf-8"), max_size=60), max_size=4),
    st.booleans(),
)
def test_a_document_is_the_same_with_its_long_strings_set_aside(fields: dict[str, str], ascii_only: bool):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_json, "LONG", 20)
        patch.setattr(long_json, "STEP", 13)
        body = json.dumps(fields, ensure_ascii=ascii_only).encode()
        document = set_aside(body)
        found = msgspec.json.decode(document.small, type=dict[str, str])
        whole = {
            name: text(body, document.long[at]).decode() if at in document.long else at for name, at in found.items()
        }
    assert whole == fields


@pytest.mark.parametrize("body", [b'{"a": "', b'{"a": "\\', b'"\\ud83d' + b"x" * 100 + b'"', b'"\\u12"'])
def test_a_string_without_an_end_is_none(body: bytes):
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(set_aside(body).small)


async def test_a_mail_longer_than_a_step_comes_as_it_was():
    content = mail('é"\\x\r\n' * 20_000)
    async with open_webhooks() as door:
        seen = arrivals(door)
        for by in (by_postmark, by_mailgun):
            assert (await post(door, by(content)))[0] == 200
    assert [one.content for one in seen] == [content, content]


async def test_what_decompresses_to_more_than_there_is_room_for_is_sent_again():
    async with open_webhooks(max_memory=4000) as door:
        webhooks(door)._memory = 1  # another mail is there
        sending = by_mailgun(b"x" * 100_000)
        status, _ = await post(door, replace(sending, body=gzip.compress(sending.body)), **{"Content-Encoding": "gzip"})
        assert (status, webhooks(door)._memory) == (503, 1)
    assert door.host.refusals == [(Refusal.TOO_MANY, "webhooks over max_memory")]


async def test_what_is_announced_and_does_not_come_takes_no_room():
    async with open_webhooks(max_memory=50_000) as door:
        place = urlsplit(door.url)
        head = f"POST {place.path}/mailgun HTTP/1.1\r\nHost: x\r\nContent-Length: 49000\r\n\r\n".encode()
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(head + b"token=")
        await writer.drain()
        assert (await post(door, by_mailgun(mail("x" * 5000))))[0] == 200
        writer.close()


@pytest.mark.parametrize("name", ["postmark", "ses"])
async def test_a_document_nested_too_deep_is_no_mail(name: str):
    async with open_webhooks() as door:
        sending = BY[name](mail())
        status, _ = await post(door, replace(sending, body=b'{"x":' + b"[" * 100_000))
    assert status == (422 if name == "postmark" else 401)


@pytest.mark.parametrize("name", ["sendgrid", "mailgun", "ses"])
async def test_who_says_that_mail_from_is_empty_is_believed(name: str):
    async with open_webhooks() as door:
        seen = arrivals(door)
        for sender in ("", "customer@acme.example"):
            assert PATIENCE[name].taken((await post(door, BY[name](mail(), sender=sender)))[0])
    assert [one.null_sender for one in seen] == [True, False]


@pytest.mark.parametrize(("path", "null"), [("<>", True), ("<customer@acme.example>", False), (None, False)])
async def test_postmark_tells_mail_from_in_a_header_or_not_at_all(path: str | None, null: bool):
    async with open_webhooks() as door:
        seen = arrivals(door)
        sending = by_postmark(mail())
        document = json.loads(sending.body) | {"Headers": [{"Name": "Return-Path", "Value": path}] if path else []}
        assert (await post(door, replace(sending, body=json.dumps(document).encode())))[0] == 200
    assert (seen[0].null_sender, seen[0].mail_from) == (null, "" if null else "customer@acme.example")
