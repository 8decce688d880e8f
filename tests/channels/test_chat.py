"""The chat channel keeps the adapter's promises, and what Slack itself expects of an Events API endpoint."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from channels import registry
from channels.api import FrontDoor, Outcome, Receipt, Refusal, SimulateError
from channels.chat import CHANNEL
from channels.chat.adapter import ChatAdapter
from channels.chat.rehearsal import rehearse
from channels.chat.settings import ChatSettings
from channels.chat.signatures import SIGNATURE, TIMESTAMP, is_fresh, is_signed, sign
from channels.chat.simulate import simulate
from channels.testing import TEXT, Door, open_door
from channels.testing_signed import SignedContract
from normalizers.chat import SlackPayload, normalize
from normalizers.message import Kind
from tests.support import free_port

NEW, OLD = "newest-signing-secret", "older-signing-secret"
NOW = 1_763_852_400.0
LIMIT = 1_010_000
TOO_BIG = b" " * (LIMIT + 1)
POST = {
    "type": "event_callback",
    "team_id": "T0SUPPORT1",
    "api_app_id": "A0GATEWAY1",
    "event_id": "Ev0TEST0001",
    "event": {
        "type": "message",
        "user": "U0HANA0001",
        "text": TEXT,
        "ts": "1763852400.000100",
        "thread_ts": "1763850000.000100",
        "channel": "C0HELP0001",
        "user_profile": {"real_name": "하나"},
        "files": [{"id": "F0FILE0001", "mode": "hosted"}],
    },
    "authorizations": [{"team_id": "T0SUPPORT1", "user_id": "U0GATEBOT1", "is_bot": True}],
}
CHALLENGE = {"type": "url_verification", "challenge": "3eZbrw1a", "token": "gone"}


def settings() -> ChatSettings:
    return ChatSettings(type="chat", signing_secrets=(SecretStr(NEW), SecretStr(OLD)), max_body=LIMIT)


def now_adapter(settings: ChatSettings, host: Any) -> ChatAdapter:
    return ChatAdapter(settings, host, now=lambda: NOW)


AT_NOW = type(CHANNEL)(**(vars(CHANNEL) | {"adapter": now_adapter}))
"""The channel on the day of `NOW`."""


async def post(door: Door, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{door.url}/events", data=body, headers={"Content-Type": "application/json"} | headers) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


async def send(door: Door, document: Any, *, at: float = NOW, secret: str = NEW, headers: Any = None) -> int:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    status, _, _ = await post(door, body, sign(SecretStr(secret), str(int(at)), body) | (headers or {}))
    return status


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door(AT_NOW, settings()) as door:
        yield door


class TestChat(SignedContract):
    channel = AT_NOW
    answers = {Outcome.ACCEPTED: "200", Outcome.REJECTED: "200", Outcome.DEFERRED: "503"}  # noqa: RUF012
    oversized_answer = "413"
    forged_answer = "401"
    secrets = (NEW, OLD)
    old_secret = OLD
    document = POST

    def settings(self) -> ChatSettings:
        return settings()

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        document: Any = deepcopy(POST)
        document["event"] |= {"text": text, "ts": f"176385{int(key):04}.000100"}
        return str(await send(door, document))

    async def deliver_document(self, door: Door, document: Any, *, secret: str | None = None) -> str:
        return str(await send(door, document, secret=secret or NEW))

    async def deliver_forged(self, door: Door) -> str:
        return str(await send(door, POST, secret="not ours"))

    async def deliver_tampered(self, door: Door) -> str:
        body = json.dumps(POST).encode()
        signed = sign(SecretStr(NEW), str(int(NOW)), body)
        return str((await post(door, body.replace(b"U0HANA0001", b"U0HANA0002"), signed))[0])

    async def deliver_unsigned(self, door: Door) -> str:
        return str((await post(door, json.dumps(POST).encode(), {}))[0])

    async def deliver_oversized(self, door: Door) -> str:
        return str(await send(door, TOO_BIG))


def test_signs_as_slack_documents_it():
    """Known answer, worked out with openssl: printf %s 'v0:1763852400:{"a":"가"}' | openssl dgst -sha256 -hmac k."""
    headers = sign(SecretStr("k"), "1763852400", '{"a":"가"}'.encode())
    assert headers == {
        TIMESTAMP: "1763852400",
        SIGNATURE: "v0=9ba5acb781b64803d39ea7974908c1bca77322d6f687734b7148a2363bdfbe69",
    }
    assert is_fresh(headers, lambda: NOW)
    assert is_signed(headers, '{"a":"가"}'.encode(), [SecretStr("other"), SecretStr("k")])


@pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (-300, 200), (300, 200), (301, 401)])
async def test_five_minutes_either_way_are_fresh(door, seconds, status):
    assert await send(door, POST, at=NOW + seconds) == status
    assert len(door.host.payloads) == (status == 200)


@pytest.mark.parametrize("stamp", ["", "NaN", "-1", "1e9", "9" * 400, "1763852400.0", "１７６３８５２４００", "\udcff"])
async def test_odd_time_stamps_are_refused(door, stamp):
    body = json.dumps(POST).encode()
    signature = sign(SecretStr(NEW), str(int(NOW)), body)[SIGNATURE]
    status, _, _ = await raw_post(door, body, {TIMESTAMP: stamp, SIGNATURE: signature})
    assert (status, door.host.payloads) == (401, [])
    assert door.host.refusals == [(Refusal.FORGED, "time stamp")]


@pytest.mark.parametrize("signature", ["", "v0=", "v0=é", "v0=\udcff\udcfe", "v1=00", "한글", "0" * 7000])
async def test_odd_signatures_are_refused(door, signature):
    status, _, _ = await raw_post(door, b"{}", {TIMESTAMP: str(int(NOW)), SIGNATURE: signature})
    assert (status, door.host.payloads) == (401, [])


async def raw_post(door: Door, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
    """A POST whose headers may hold any byte, as no client library sends them."""
    host, _, rest = door.url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = {"Host": host, "Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"POST /{path}/events HTTP/1.1", *(f"{name}: {value}" for name, value in (head | headers).items()), "", ""]
    writer.write("\r\n".join(lines).encode("utf-8", "surrogateescape") + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    status_line, _, after = answer.partition(b"\r\n")
    return int(status_line.split()[1]), status_line.decode(), after


async def test_challenge_is_answered_and_is_no_message(door):
    body = json.dumps(CHALLENGE).encode()
    status, headers, answer = await post(door, body, sign(SecretStr(NEW), str(int(NOW)), body))
    assert (status, json.loads(answer)) == (200, {"challenge": "3eZbrw1a"})
    assert headers["Content-Type"].startswith("application/json")
    assert (door.host.payloads, door.host.refusals) == ([], [])


@pytest.mark.parametrize("body", [json.dumps(CHALLENGE).encode(), b"ssl_check=1&token=x"])
async def test_nothing_is_answered_without_a_signature(door, body):
    status, _, answer = await post(door, body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert (status, b"3eZbrw1a" in answer) == (401, False)
    assert door.host.refusals == [(Refusal.FORGED, "time stamp")]


async def test_forms_are_not_events(door):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"ssl_check=1&token=x", b"payload=%7B%22type%22%3A%22block_actions%22%7D"):
        assert await send(door, body, headers=form) == 200
    assert not door.host.payloads
    assert {why for why, _ in door.host.refusals} == {Refusal.UNSUPPORTED}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"n": ' + b"9" * 5000 + b"}", b"null", b'{"type": "url_verification",'],
)
async def test_signed_and_unreadable_is_handed_over_as_it_came(door, body):
    door.host.outcome = Outcome.REJECTED
    assert await send(door, body) == 200
    assert [payload.body for payload in door.host.payloads] == [body]


async def test_200_comes_only_after_the_gateway_has_it(door):
    door.host.go_on.clear()
    sending = asyncio.create_task(send(door, POST))
    await asyncio.wait_for(door.host.handed_over.wait(), 10)
    assert not sending.done()
    door.host.go_on.set()
    assert await sending == 200


async def test_slack_is_to_come_again_when_nothing_can_be_kept(door):
    door.host.outcome = Outcome.DEFERRED
    body = json.dumps(POST).encode()
    status, headers, _ = await post(door, body, sign(SecretStr(NEW), str(int(NOW)), body))
    assert (status, headers["Retry-After"]) == (503, "30")
    assert "x-slack-no-retry" not in {name.lower() for name in headers}


async def test_slack_is_not_to_come_again_with_what_is_too_big(door):
    status, headers, _ = await post(door, TOO_BIG, sign(SecretStr(NEW), str(int(NOW)), TOO_BIG))
    assert (status, headers["X-Slack-No-Retry"]) == (413, "1")


@pytest.mark.parametrize("number", ["0", "1", "3", "x"])
async def test_a_retry_is_the_same_message(door, number):
    assert await send(door, POST) == 200
    retry = {"x-slack-retry-num": number, "x-slack-retry-reason": "http_timeout"}
    assert await send(door, POST, at=NOW + 60, headers=retry) == 200
    first, again = (normalize(payload) for payload in door.host.payloads)
    assert first == again != ()


async def test_message_and_mention_of_one_post_are_one(door):
    mention: Any = deepcopy(POST) | {"event_id": "Ev0TEST0002"}
    mention["event"]["type"] = "app_mention"
    for document in (POST, mention):
        assert await send(door, document) == 200
    first, again = (normalize(payload)[0] for payload in door.host.payloads)
    assert (first.kind, first.external_id, first.identity) == (again.kind, again.external_id, again.identity)


async def test_nothing_to_ticket_is_200_and_left_to_the_gateway_to_count(door, monkeypatch):
    async def nothing(payload: SlackPayload) -> Receipt:
        return Receipt(outcome=Outcome.ACCEPTED)

    monkeypatch.setattr(door.host, "intake", nothing)
    assert await send(door, POST | {"event": {"type": "reaction_added"}}) == 200
    assert door.host.refusals == []


async def test_bolt_is_told_nothing_by_the_environment(monkeypatch):
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_VERIFICATION_TOKEN"):
        monkeypatch.setenv(name, "xoxb-from-the-environment")
    async with open_door(AT_NOW, settings()) as door:
        assert await send(door, POST) == 200
        assert await send(door, CHALLENGE) == 200
        assert await send(door, POST, secret="xoxb-from-the-environment") == 401
        assert len(door.host.payloads) == 1


def test_the_sdk_is_imported_by_the_start_alone():
    code = (
        "import sys; from channels import registry; channel = registry.load('chat');"
        "channel.adapter(channel.settings(type='chat', signing_secrets=['x']), None).routes();"
        "sys.exit('slack_bolt' in sys.modules or 'slack_sdk' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def changed(text: str, edited_ts: str) -> SlackPayload:
    before = {"user": "U0HANA0001", "text": "before", "ts": "1763852400.000100"}
    after = before | {"text": text, "edited": {"user": "U0HANA0001", "ts": edited_ts}}
    event = {"type": "message", "subtype": "message_changed", "channel": "C0HELP0001", "ts": "1763852500.000100"}
    document = POST | {"event": event | {"message": after, "previous_message": before}}
    return SlackPayload(body=json.dumps(document).encode())


def test_every_edit_is_one_of_its_own():
    edits = [
        normalize(changed(text, ts))[0]
        for text, ts in [
            ("first", "1763852500.000000"),
            ("second", "1763852500.000000"),
            ("first", "1763852560.000000"),
            ("first", "1763852500.000000"),
        ]
    ]
    assert {edit.kind for edit in edits} == {Kind.EDIT}
    assert len({edit.external_id for edit in edits}) == 1
    assert len({edit.identity for edit in edits}) == 3


@pytest.mark.parametrize("text", ["<" * 500_000, "<@" * 250_000, "&amp;" * 100_000, "\ud800" * 80_000, "<a|" * 160_000])
def test_a_megabyte_of_anything_is_read(text):
    document = POST | {"event": POST["event"] | {"text": text}}  # type: ignore[operator]
    (message,) = normalize(SlackPayload(body=json.dumps(document).encode()))
    assert message.text


@pytest.mark.parametrize("sample", registry.samples("chat"), ids=lambda path: path.stem)
async def test_samples_are_sent_as_slack_would(sample):
    async with open_door(CHANNEL, settings()) as door:
        told = [await simulate(settings(), front(door.url), sample.read_bytes(), {}) for _ in range(2)]
        first, again = (normalize(payload)[0] for payload in door.host.payloads)
    assert all(line.startswith("200 accepted T-7K3M-9QXR ts ") for line in told)
    assert (first.external_id, first.identity or "") != (again.external_id, again.identity or "")
    assert first.requester.addresses
    assert first.text or first.kind is Kind.DELETE


def test_samples_are_of_two_languages():
    stems = [path.stem for path in registry.samples("chat")]
    assert [sum(stem.endswith(end) for stem in stems) for end in ("-ko", "-en")] == [5, 5]


async def test_what_is_set_is_what_arrives():
    overrides = {"text": "1 < 2 & 3", "user": "U1", "team": "T1", "channel": "C1", "ts": "5.1", "thread_ts": "4.1"}
    sample = registry.samples("chat")[0].read_bytes()
    async with open_door(CHANNEL, settings()) as door:
        told = await simulate(settings(), front(door.url), sample, overrides | {"event_id": "Ev1"})
        (message,) = normalize(door.host.payloads[0])
    assert told.endswith(" ts 5.1")
    assert (message.text, message.external_id) == ("1 < 2 & 3", "T0SUPPORT1/C1/5.1")
    assert (message.requester.addresses[0].value, message.thread.parent) == ("T1/U1", "T0SUPPORT1/C1/4.1")
    assert json.loads(door.host.payloads[0].body)["event_id"] == "Ev1"


async def test_an_edit_can_be_of_a_post_sent_before():
    edited = next(path for path in registry.samples("chat") if "edited" in path.stem).read_bytes()
    rehearsed = rehearse(edited, {"ts": "5.1", "text": "now this"}, NOW)
    (edit,) = normalize(SlackPayload(body=rehearsed.body))
    assert (edit.kind, edit.text, edit.external_id.rpartition("/")[2]) == (Kind.EDIT, "now this", "5.1")


@pytest.mark.parametrize(
    ("sample", "overrides", "words"),
    [
        (b"{", {}, "the sample is not JSON"),
        (b"[]", {}, "the sample is not a JSON object"),
        (b"{}", {"colour": "red"}, "--set knows text, user, team, channel, ts, thread_ts, event_id, not colour"),
    ],
)
async def test_bad_samples_are_said_in_words(sample, overrides, words):
    with pytest.raises(SimulateError, match=words):
        await simulate(settings(), front("http://127.0.0.1:9/channels/slack"), sample, overrides)


async def test_simulate_says_why_it_failed():
    sample = registry.samples("chat")[0].read_bytes()
    with pytest.raises(SimulateError, match="is the gateway running"):
        await simulate(settings(), front(f"http://127.0.0.1:{free_port()}/channels/slack"), sample, {})
    other = ChatSettings(type="chat", signing_secrets=(SecretStr("another"),))
    async with open_door(CHANNEL, settings()) as door:
        with pytest.raises(SimulateError, match="401 X-Slack-Signature is missing or does not fit"):
            await simulate(other, front(door.url), sample, {})
        with pytest.raises(SimulateError, match="404: there is no Slack inbox"):
            await simulate(settings(), front(f"{door.url}-not"), sample, {})
        door.host.outcome = Outcome.REJECTED
        assert "200 rejected kept as a dead letter" in await simulate(settings(), front(door.url), sample, {})
        assert await simulate(settings(), front(door.url), json.dumps(CHALLENGE).encode(), {}) == (
            "200 challenge answered"
        )


def front(url: str) -> FrontDoor:
    return FrontDoor(inbox="slack", url=url, public_url="http://gateway.example")
