"""The contact form as programs meet it: JSON, limits, keys, clients that hang up, and `simulate`."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from channels import posts, registry
from channels.api import FrontDoor, Outcome, Receipt, Reference, Refusal, SimulateError
from channels.web_form import CHANNEL
from channels.web_form.settings import WebFormSettings
from tests.channels.form_door import PATH, FormDoor
from tests.channels.web_form_door import GOOD, open_form
from tests.support import free_port

JSON = {"Content-Type": "application/json"}
SETTINGS = WebFormSettings(type="web_form")
PATIENCE = 10.0


@pytest.fixture
async def form() -> AsyncIterator[FormDoor]:
    async with open_form(max_body=4096) as door:
        yield door


async def test_accepted_says_reference_id_duplicate_and_time(form):
    reply_by = datetime(2026, 11, 22, 5, tzinfo=UTC)
    first = Reference(id="i-1", reference="T-7K3M-9QXR", duplicate=True, reply_by=reply_by)
    form.host.receipt = Receipt(outcome=Outcome.ACCEPTED, references=(first,))
    answer = await form.post(GOOD)
    assert (answer.status, answer.content_type) == (202, "application/json")
    assert await answer.json() == {
        "reference": "T-7K3M-9QXR",
        "id": "i-1",
        "duplicate": True,
        "reply_by": "2026-11-22T05:00:00Z",
    }


async def test_accepted_without_a_reference_says_null(form):
    form.host.receipt = Receipt(outcome=Outcome.ACCEPTED)
    assert await (await form.post(GOOD)).json() == {
        "reference": None,
        "id": None,
        "duplicate": False,
        "reply_by": None,
    }


async def test_an_error_is_a_problem_document(form):
    answer = await form.post({"email": 5, "message": "Hello"})
    assert (answer.status, answer.content_type) == (422, "application/problem+json")
    assert json.loads(await answer.text()) == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "The email must be a string.",
        "errors": [{"pointer": "/email", "code": "not_text", "detail": "The email must be a string."}],
    }


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"", b"[" * 4000])
async def test_broken_json_is_422(form, body):
    answer = await form.client.post(PATH, data=body, headers=JSON)
    assert (answer.status, json.loads(await answer.text())["errors"][0]["code"]) == (422, "invalid_json")


async def test_deferred_says_when_to_try_again(form):
    form.host.outcome = Outcome.DEFERRED
    answer = await form.post(GOOD)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("content_type", "says"),
    [("text/plain", ""), ("multipart/form-data; boundary=x", "Files cannot be sent yet."), ("", "")],
)
async def test_another_media_type_is_told_the_two_that_are_read(form, content_type, says):
    answer = await form.client.post(PATH, data=b"--x--", headers={"Content-Type": content_type})
    detail = json.loads(await answer.text())["detail"]
    assert (answer.status, answer.content_type) == (415, "application/problem+json")
    assert detail.startswith("Send application/json or application/x-www-form-urlencoded.")
    assert says in detail
    assert form.host.refusals == [(Refusal.UNSUPPORTED, "media type of a form")]


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b" " * 1024


@pytest.mark.parametrize("way", ["announced", "streamed", "compressed"])
async def test_a_body_over_the_limit_is_413_however_it_comes(form, way):
    body = {"announced": b" " * 4097, "streamed": chunks(8192), "compressed": gzip.compress(b" " * 4_000_000)}[way]
    headers = {**JSON, "Content-Encoding": "gzip"} if way == "compressed" else JSON
    answer = await form.client.post(PATH, data=body, headers=headers)
    assert (answer.status, answer.content_type) == (413, "application/problem+json")
    assert form.host.refusals == [(Refusal.OVERSIZED, "body over max_body")]
    assert not form.host.payloads


@pytest.mark.parametrize("way", ["announced", "streamed", "compressed"])
async def test_a_body_at_the_limit_is_read(form, way):
    good = json.dumps(GOOD).encode().ljust(4096)

    async def parts() -> AsyncIterator[bytes]:
        yield good[:100]
        yield good[100:]

    body = {"announced": good, "streamed": parts(), "compressed": gzip.compress(good)}[way]
    headers = {**JSON, "Content-Encoding": "gzip"} if way == "compressed" else JSON
    assert (await form.client.post(PATH, data=body, headers=headers)).status == 202
    assert form.host.payloads[0].body == good


async def test_a_body_that_cannot_be_decompressed_is_400_and_no_exception(form, caplog):
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = await form.client.post(PATH, data=b"not gzip", headers=headers)
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert (await form.post(GOOD)).status == 202
    assert not caplog.records


@asynccontextmanager
async def raw_post(form: FormDoor, *lines: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which the headers of a JSON POST have been sent."""
    reader, writer = await asyncio.open_connection(form.client.host, form.client.port)
    head = (f"POST {PATH} HTTP/1.1", "Host: x", "Content-Type: application/json", *lines, "", "")
    writer.write("\r\n".join(head).encode())
    yield reader, writer
    writer.transport.abort()


async def test_a_body_without_end_is_413_as_soon_as_it_is_too_long(form):
    async with raw_post(form, "Transfer-Encoding: chunked") as (reader, writer):
        writer.write(b"1400\r\n" + b" " * 0x1400 + b"\r\n")
        status = await asyncio.wait_for(reader.readline(), PATIENCE)
    assert status == b"HTTP/1.1 413 Request Entity Too Large\r\n"


async def test_a_body_that_does_not_come_is_408(form, monkeypatch):
    monkeypatch.setattr(posts, "_READ_SECONDS", 0.01)
    async with raw_post(form, "Content-Length: 50") as (reader, writer):
        writer.write(b"{")
        status = await asyncio.wait_for(reader.readline(), PATIENCE)
    assert status == b"HTTP/1.1 408 Request Timeout\r\n"
    assert not form.host.payloads


async def test_a_body_that_comes_in_pieces_is_read_whole(form):
    body = json.dumps(GOOD).encode()
    async with raw_post(form, f"Content-Length: {len(body)}", "Expect: 100-continue") as (reader, writer):
        assert await asyncio.wait_for(reader.readline(), PATIENCE) == b"HTTP/1.1 100 Continue\r\n"
        writer.write(body)
        await asyncio.wait_for(form.host.handed_over.wait(), PATIENCE)
    assert form.host.payloads[0].body == body


async def test_the_same_key_is_the_same_message(form):
    for key in ("k-1", "k-1", "k-2", ""):
        await form.post(GOOD, **{"Idempotency-Key": key} if key else {})
    first, again, other, without = (message.external_id for message in form.host.messages)
    assert len({first, other, without}) == 3
    assert first == again
    assert "k-1" not in first
    assert [payload.keyed for payload in form.host.payloads] == [True, True, True, False]


async def test_a_retry_with_a_fresh_token_is_the_same_message_and_no_payload_keeps_one(form):
    for token in ("aaa.bbb.ccc", "ddd.eee.fff"):
        assert (await form.post(GOOD | {"identity_token": token}, **{"Idempotency-Key": "k-1"})).status == 202
    first, again = form.host.messages
    assert (first.external_id, first.fingerprint) == (again.external_id, again.fingerprint)
    assert [warning.code for warning in again.warnings] == ["identity_unread"]
    assert not any(token in payload.body for token in (b"bbb", b"eee") for payload in form.host.payloads)


async def test_the_same_key_with_other_words_is_a_conflict(form):
    await form.post(GOOD, **{"Idempotency-Key": "k-1"})
    answer = await form.post(GOOD | {"message": "Something else."}, **{"Idempotency-Key": "k-1"})
    assert (answer.status, json.loads(await answer.text())["errors"][0]["code"]) == (422, "conflict")


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb", "a\u0085b"])
async def test_an_unusable_key_is_400(form, key):
    answer = await form.post(GOOD, **{"Idempotency-Key": key})
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert not form.host.payloads


async def test_a_sender_who_hangs_up_after_the_body_is_taken_once(form):
    form.host.go_on.clear()
    body = json.dumps(GOOD).encode()
    async with raw_post(form, f"Content-Length: {len(body)}") as (_, writer):
        writer.write(body)
        await asyncio.wait_for(form.host.handed_over.wait(), PATIENCE)
    assert (await form.get()).status == 200  # the server has met the hang-up by now
    form.host.go_on.set()
    await asyncio.wait_for(form.close(), PATIENCE)
    assert (len(form.host.payloads), form.host.finished) == (1, 1)


@pytest.mark.parametrize("sample", registry.samples("web_form"), ids=lambda path: path.stem)
async def test_simulate_sends_every_sample(form, sample):
    door = FrontDoor(inbox="contact", url=str(form.client.make_url(PATH)), public_url="http://gateway.example")
    line = await CHANNEL.simulate(SETTINGS, door, sample.read_bytes(), {})
    assert line.startswith("202 T-7K3M-9QXR id ")
    assert form.host.messages[0].warnings == ()


async def test_simulate_sends_what_it_is_told(form):
    door = FrontDoor(inbox="contact", url=str(form.client.make_url(PATH)), public_url="http://gateway.example")
    for _ in range(2):
        await CHANNEL.simulate(SETTINGS, door, b"{}", GOOD | {"name": "김민수", "key": "k-1"})
        await CHANNEL.simulate(SETTINGS, door, b"{}", GOOD)
    assert form.host.messages[0].requester.name == "김민수"
    assert len({message.external_id for message in form.host.messages}) == 3


@pytest.mark.parametrize(
    ("sample", "overrides", "says"),
    [
        (b"{}", {}, "422 /email: An email address is needed to answer.; /message: The message is empty."),
        (b"[]", {}, "the sample is not a JSON object"),
        (b"{}", {"body": "x"}, "--set knows name, email, subject, message, identity_token and key, not body"),
    ],
)
async def test_simulate_says_what_is_wrong(form, sample, overrides, says):
    door = FrontDoor(inbox="contact", url=str(form.client.make_url(PATH)), public_url="http://gateway.example")
    with pytest.raises(SimulateError) as caught:
        await CHANNEL.simulate(SETTINGS, door, sample, overrides)
    assert str(caught.value).startswith(says)


async def test_simulate_says_that_nothing_listens():
    door = FrontDoor(inbox="contact", url=f"http://127.0.0.1:{free_port()}{PATH}", public_url="http://gateway.example")
    with pytest.raises(SimulateError, match="is the gateway running"):
        await CHANNEL.simulate(SETTINGS, door, b"{}", GOOD)


async def test_simulate_says_that_another_server_answers(form):
    door = FrontDoor(
        inbox="contact", url=str(form.client.make_url("/channels/other")), public_url="http://gateway.example"
    )
    with pytest.raises(SimulateError, match="no web form at"):
        await CHANNEL.simulate(SETTINGS, door, b"{}", GOOD)
