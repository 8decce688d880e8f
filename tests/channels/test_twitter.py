"""The X channel keeps the adapter's promises, and what is special: the challenge, one secret for all, two forms."""

import json
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from channels import registry
from channels.api import FrontDoor, Outcome, Receipt, Refusal, SimulateError
from channels.testing import TEXT, Door, open_door
from channels.testing_signed import SignedContract
from channels.twitter import CHANNEL
from channels.twitter.settings import TwitterSettings
from channels.twitter.signatures import HEADER, is_challenge, sign
from channels.twitter.simulate import simulate
from normalizers.message import Kind, Message
from normalizers.twitter import TwitterPayload, normalize

OURS, THEIRS = "1480000000000000001", "3010000000000000001"
NEW, OLD = "consumer-secret", "consumer-secret-of-last-year"
SAMPLES = registry.samples("twitter")


def settings(**more: Any) -> TwitterSettings:
    values = {"type": "twitter", "consumer_secrets": [NEW, OLD], "own_user_ids": [OURS], **more}
    return TwitterSettings.model_validate(values)


def event(post_id: str, text: str, name: str = "post.mention.create", **payload: Any) -> dict[str, Any]:
    post = {"id": post_id, "author_id": THEIRS, "text": text, "conversation_id": "2080765813578190001", **payload}
    return {
        "data": {
            "event_uuid": "-7953119945885597316",
            "filter": {"user_id": OURS},
            "event_type": name,
            "payload": post,
            "includes": {"users": [{"id": THEIRS, "username": "customer", "name": "Kim"}]},
        }
    }


def read(document: Any) -> list[Message]:
    return list(normalize(TwitterPayload(body=json.dumps(document).encode(), own_user_ids=(OURS,))))


async def post(door: Door, body: bytes, signature: str | None) -> str:
    headers = {"Content-Type": "application/json"} | ({HEADER: signature} if signature is not None else {})
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{door.url}/webhook", data=BytesIO(body), headers=headers) as answer,
    ):
        return str(answer.status)


async def challenge(door: Door, **query: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{door.url}/webhook", params=query, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


class TestTwitter(SignedContract):
    channel = CHANNEL
    answers = {Outcome.ACCEPTED: "200", Outcome.REJECTED: "200", Outcome.DEFERRED: "503"}  # noqa: RUF012
    oversized_answer = "413"
    # 403: what is no object could have been signed as an answer to a challenge.
    taken = frozenset({"200", "403"})
    forged_answer = "403"
    secrets = (NEW, OLD)
    old_secret = OLD
    document = event(
        "2080765813578190001",
        TEXT,
        in_reply_to_user_id=OURS,
        created_at="2026-11-20T01:23:45.000Z",
        edit_history_tweet_ids=["2080765813578190001"],
        referenced_tweets=[{"type": "replied_to", "id": "2080765813578100001"}],
        entities={"urls": [{"url": "https://t.co/a", "expanded_url": "https://a.example"}], "mentions": [{"id": OURS}]},
        attachments={"media_keys": ["3_1"]},
        note_tweet={"text": TEXT},
        lang="ko",
    )

    def settings(self) -> TwitterSettings:
        return settings()

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        return await self.deliver_document(door, event(f"208076581357819000{key}", text))

    async def deliver_document(self, door: Door, document: Any, *, secret: str | None = None) -> str:
        body = json.dumps(document).encode()
        return await post(door, body, sign(SecretStr(secret or NEW), body))

    async def deliver_forged(self, door: Door) -> str:
        return await post(door, json.dumps(self.document).encode(), "sha256=Zm9yZ2Vk")

    async def deliver_tampered(self, door: Door) -> str:
        body = json.dumps(self.document, ensure_ascii=False).encode()
        return await post(door, body.replace("두 번".encode(), "세 번".encode()), sign(SecretStr(NEW), body))

    async def deliver_unsigned(self, door: Door) -> str:
        return await post(door, json.dumps(self.document).encode(), None)

    async def deliver_oversized(self, door: Door) -> str:
        return await self.deliver(door, text="x" * (2**20 + 1))


@pytest.fixture
async def door():
    async with open_door(CHANNEL, settings()) as door:
        yield door


async def test_challenge_is_answered_with_the_newest_secret(door):
    answer = {"response_token": "sha256=S/mG8E9n5SjoGuCqHguvP8K8uuu5ogCPF0dOpIdyZlk="}
    assert await challenge(door, crc_token="challenge_string") == (200, answer)


async def test_challenge_is_answered_while_the_inbox_is_closing(door):
    await door.close()
    assert (await challenge(door, crc_token="challenge_string"))[0] == 200


@pytest.mark.parametrize("query", [{}, {"crc_token": ""}, {"nonce": "1"}, {"crc_token": "a" * 513}])
async def test_challenge_without_a_token_is_refused(door, query):
    assert (await challenge(door, **query))[0] == 400


@pytest.mark.parametrize("prefix", ["", "\ufeff", " \n"])
async def test_challenge_never_signs_what_could_be_an_event(door, prefix):
    status, answer = await challenge(door, crc_token=prefix + '{"for_user_id":"1"}')
    assert status == 400
    assert "response_token" not in answer
    assert [why for why, _ in door.host.refusals] == [Refusal.FORGED]


@pytest.mark.parametrize("signature", ["", "sha256=", "sha1=abc", "sha256=한글", "=", "sha256=" + "A" * 5000])
async def test_odd_signatures_are_refused(door, signature):
    assert await post(door, b"{}", signature) == "403"


@pytest.mark.parametrize("body", [b"[0,1]", b"null", b'"text"', b"anything", "한글".encode()])
async def test_what_the_challenge_signs_for_anybody_is_refused_as_an_event(door, body):
    assert is_challenge(body.decode())
    assert await post(door, body, sign(SecretStr(NEW), body)) == "403"
    assert [why for why, _ in door.host.refusals] == [Refusal.FORGED]
    assert not door.host.payloads


async def test_nothing_to_ticket_is_answered_and_left_to_the_gateway_to_count(door, monkeypatch):
    async def nothing(payload, /):
        return Receipt(outcome=Outcome.ACCEPTED)

    monkeypatch.setattr(door.host, "intake", nothing)
    assert await post(door, b"{}", sign(SecretStr(NEW), b"{}")) == "200"
    assert door.host.refusals == []


async def test_body_that_does_not_decompress_is_refused(door, caplog):
    headers = {"Content-Encoding": "gzip", HEADER: "sha256=x"}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{door.url}/webhook", data=b"no gzip", headers=headers) as answer,
    ):
        assert answer.status == 400
    assert "Traceback" not in caplog.text


def test_one_post_is_one_message_whatever_announced_it():
    mention = event("2080765813578190009", "@us twice", "post.mention.create")
    reply = event("2080765813578190009", "@us twice", "post.reply.create", in_reply_to_user_id=OURS)
    old = {
        "for_user_id": OURS,
        "tweet_create_events": [{"id_str": "2080765813578190009", "text": "@us twice", "user": {"id_str": THEIRS}}] * 2,
    }
    found = [message for document in (mention, reply, old) for message in read(document)]
    assert {(one.kind, one.external_id) for one in found} == {(Kind.MESSAGE, "2080765813578190009")}
    assert len(found) == 3


@pytest.mark.parametrize(
    "name", ["post.create", "post.mention.create", "post.reply.create", "post.quote.create", "post.delete"]
)
@pytest.mark.parametrize("own", [(), (OURS,), ("5", OURS)])
def test_what_we_write_is_never_a_message(name, own):
    body = json.dumps(event("2080765813578190009", "@customer hello", name, author_id=OURS)).encode()
    assert normalize(TwitterPayload(body=body, own_user_ids=own)) == []


def test_what_another_account_of_ours_writes_is_never_a_message():
    body = json.dumps(event("2080765813578190009", "@us from a colleague")).encode()
    assert normalize(TwitterPayload(body=body, own_user_ids=(OURS, THEIRS))) == []


@pytest.mark.parametrize("how", ["retweeted", "reposted"])
def test_reposts_are_never_a_message(how):
    assert read(event("2080765813578190009", "RT @us", referenced_posts=[{"type": how, "id": "5"}])) == []


def test_direct_messages_both_ways_and_in_every_form_share_a_conversation():
    said = {"sender_id": THEIRS, "target": {"recipient_id": OURS}, "message_data": {"text": "hi"}}
    old = {"type": "message_create", "id": "1", "message_create": said}
    new = {"event_type": "MessageCreate", "id": "2", "text": "hi", "sender_id": THEIRS}
    documents: list[dict[str, Any]] = [
        {"for_user_id": OURS, "direct_message_events": [old]},
        {"data": {"event_type": "dm.received", "filter": {"user_id": OURS}, "payload": new}},
        {"data": {"event_type": "dm.received", "filter": {"user_id": OURS}, "payload": {"data": new}}},
        {
            "data": {
                "event_type": "chat.received",
                "filter": {"user_id": OURS},
                "payload": {"id": "3", "sender_id": THEIRS, "conversation_id": f"{THEIRS}:{OURS}"},
            }
        },
    ]
    found = [message for document in documents for message in read(document)]
    assert {one.thread.key for one in found} == {f"{OURS}-{THEIRS}"}
    assert [one.kind for one in found] == [Kind.MESSAGE, Kind.MESSAGE, Kind.MESSAGE, Kind.NOTICE]


def test_handle_of_digits_never_passes_for_an_id():
    document = event("2080765813578190009", "@us")
    document["data"]["includes"]["users"][0]["username"] = "2244994945"
    (message,) = read(document)
    assert [address.value for address in message.requester.addresses] == [THEIRS]


def test_long_posts_are_whole():
    whole = "가나다 &amp;lt; " * 200 + "끝"
    (message,) = read(event("2080765813578190009", "cut …", note_tweet={"text": whole}))
    assert message.text == "가나다 &lt; " * 200 + "끝"


def test_many_long_links_cannot_make_a_text_explode():
    links = [{"url": "https://t.co/a", "expanded_url": "https://a.example/" + "b" * 4000}]
    (message,) = read(event("2080765813578190009", "https://t.co/a " * 20_000, entities={"urls": links}))
    assert len(message.text) < 2_500_000


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
async def test_samples_are_taken_with_fresh_ids(door, sample):
    own = settings(own_user_ids=["77"])
    front = FrontDoor(inbox="inbox", url=door.url, public_url=door.host.public_url)
    for _ in range(2):
        assert await simulate(own, front, sample.read_bytes(), {}) == "200 accepted T-7K3M-9QXR"
    first, second = (message for payload in door.host.payloads for message in normalize(payload))
    assert first.external_id != second.external_id
    assert first.text == second.text != ""
    assert [address.value for address in first.recipients] == ["77"]
    assert first.warnings == ()
    assert first.sent_at is not None


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
async def test_samples_say_what_is_set(door, sample):
    front = FrontDoor(inbox="inbox", url=door.url, public_url=door.host.public_url)
    overrides = {"id": "42", "text": "1 < 2 & 다시", "user_id": "99", "handle": "Somebody", "name": "누구"}
    await simulate(settings(), front, sample.read_bytes(), overrides)
    ((message,),) = (normalize(payload) for payload in door.host.payloads)
    assert (message.external_id, message.text, message.requester.name) == ("42", "1 < 2 & 다시", "누구")
    assert [address.value for address in message.requester.addresses] == ["99", "somebody"]


@pytest.mark.parametrize(
    ("sample", "overrides", "words"),
    [
        (b"{}", {"colour": "red"}, "--set knows id, text, user_id, handle, name, not colour"),
        (b"{}", {"id": "abc"}, "--set id: ids of X are digits"),
        (b"[]", {}, "the sample is not a JSON object"),
        (b"{", {}, "the sample is not JSON"),
    ],
)
async def test_simulate_says_what_is_wrong(door, sample, overrides, words):
    front = FrontDoor(inbox="inbox", url=door.url, public_url=door.host.public_url)
    with pytest.raises(SimulateError, match=words):
        await simulate(settings(), front, sample, overrides)
    assert not door.host.payloads


async def test_simulate_tells_refusals(door):
    front = FrontDoor(inbox="inbox", url=door.url, public_url=door.host.public_url)
    stranger = settings(consumer_secrets=["another"])
    with pytest.raises(SimulateError, match="403 x-twitter-webhooks-signature is missing or does not fit"):
        await simulate(stranger, front, SAMPLES[0].read_bytes(), {})
    elsewhere = FrontDoor(inbox="inbox", url=f"{door.url}/elsewhere", public_url="")
    with pytest.raises(SimulateError, match="404: there is no X webhook"):
        await simulate(settings(), elsewhere, SAMPLES[0].read_bytes(), {})
    door.host.outcome = Outcome.REJECTED
    answer = await simulate(settings(), front, SAMPLES[0].read_bytes(), {})
    assert answer == "200 rejected kept as a dead letter: the sample is damaged"
