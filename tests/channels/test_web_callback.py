"""The callback channel keeps the adapter's promises; and as programs meet it."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import ValidationError

from channels import registry
from channels.api import FrontDoor, Outcome, Receipt, Reference, SimulateError
from channels.testing import TEXT, AdapterContract, Door, open_door
from channels.web_callback import CHANNEL
from channels.web_callback.settings import WebCallbackSettings
from normalizers.identities import RefusedIdentity, VerifiedIdentity
from normalizers.message import Address, Kind, Malformed, Proof
from normalizers.web_callback import CallbackPayload, normalize
from tests.channels.form_door import PATH, FormDoor, Page
from tests.channels.web_callback_door import GOOD, NOW, open_form

SETTINGS = WebCallbackSettings(type="web_callback")
REFERENCE = Reference(reference="T-7K3M-9QXR", id="i-1")


class TestWebCallback(AdapterContract):
    channel = CHANNEL
    answers = {Outcome.ACCEPTED: "202", Outcome.REJECTED: "422", Outcome.DEFERRED: "503"}  # noqa: RUF012
    oversized_answer = "413"
    no_forgery = "nobody signs a form: every typed number is a claim, and is passed on as one"

    def settings(self) -> WebCallbackSettings:
        return WebCallbackSettings(type="web_callback", max_body=10_000)

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        return await self._post(door, {**GOOD, "email": "customer@acme.example", "topic": text}, key)

    async def deliver_oversized(self, door: Door) -> str:
        return await self._post(door, {**GOOD, "email": "customer@acme.example", "topic": "x" * 20_000}, "1")

    async def _post(self, door: Door, form: dict[str, str], key: str) -> str:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        async with (
            aiohttp.ClientSession() as client,
            client.post(door.url, data=json.dumps(form), headers=headers) as answer,
        ):
            return str(answer.status)


@pytest.fixture
async def form() -> AsyncIterator[FormDoor]:
    async with open_form() as door:
        yield door


@pytest.fixture
def door(form: FormDoor) -> FrontDoor:
    return FrontDoor(inbox="contact", url=str(form.client.make_url(PATH)), public_url="http://gateway.example")


async def test_what_was_sent_is_a_callback_request(form):
    window = {"window_start": "2026-11-20T14:00", "window_end": "2026-11-20T16:00"}
    answer = await form.post({**GOOD, **window, "email": "jane@initech.example"}, **{"Idempotency-Key": "k-1"})
    (message,) = form.host.messages
    assert answer.status == 202
    assert (message.kind, message.medium, message.proof) == (Kind.CALLBACK, "form", Proof.CLAIMED)
    assert message.requester.addresses == (Address("phone", "+821012345678"), Address("email", "jane@initech.example"))
    assert message.callback is not None
    assert message.callback.topic == message.text == "Charged twice."
    assert message.callback.window_start == datetime(2026, 11, 20, 5, tzinfo=UTC)


async def test_the_answer_says_the_promise_in_utc(form):
    first = msgspec.structs.replace(REFERENCE, reply_by=NOW + timedelta(minutes=60))
    form.host.receipt = Receipt(outcome=Outcome.ACCEPTED, references=(first,))
    answer = await form.post(GOOD)
    assert await answer.json() == {
        "reference": "T-7K3M-9QXR",
        "id": "i-1",
        "duplicate": False,
        "reply_by": "2026-11-20T04:00:00Z",
    }


async def test_a_duplicate_says_no_new_promise(form):
    first = msgspec.structs.replace(REFERENCE, duplicate=True)
    form.host.receipt = Receipt(outcome=Outcome.ACCEPTED, references=(first,))
    assert await (await form.post(GOOD)).json() == msgspec.to_builtins(first)


async def test_every_problem_is_told_at_once(form):
    answer = await form.post({"phone": "12", "timezone": "KST", "window_start": "soon"})
    told = [(error["pointer"], error["code"]) for error in json.loads(await answer.text())["errors"]]
    assert (answer.status, answer.content_type) == (422, "application/problem+json")
    assert told == [
        ("/phone", "invalid_phone"),
        ("/topic", "required"),
        ("/window_start", "invalid_time"),
        ("/window_end", "required"),
        ("/timezone", "invalid_timezone"),
    ]


async def test_the_same_key_with_another_number_is_a_conflict(form):
    await form.post(GOOD, **{"Idempotency-Key": "k-1"})
    answer = await form.post({**GOOD, "phone": "02-123-4567"}, **{"Idempotency-Key": "k-1"})
    assert (answer.status, json.loads(await answer.text())["errors"][0]["code"]) == (422, "conflict")


async def test_the_past_is_what_has_passed_by_the_adapter_s_clock(form):
    hour = {"window_start": "2026-11-20T02:00Z", "window_end": "2026-11-20T03:00Z"}
    assert (await form.post({**GOOD, **hour})).status == 422
    assert (await form.post({**GOOD, **hour, "window_end": "2026-11-20T03:00:01Z"})).status == 202
    assert [payload.submitted_at for payload in form.host.payloads] == [NOW]


async def test_a_number_without_a_country_is_dialled_in_the_inbox_s_region():
    async with open_form(default_region="GB") as form:
        assert (await form.post({**GOOD, "phone": "020 7946 0101"})).status == 202
        assert form.host.messages[0].requester.addresses[0].value == "+442079460101"


@pytest.mark.parametrize(
    "field", ["name", "country", "phone", "topic", "window_start", "window_end", "timezone", "email", "nonce"]
)
@pytest.mark.parametrize(
    "wrong", [None, True, -1, 1.5, "", "\0", "\ud800", "9" * 400, "+" * 60, "٣" * 40, [], {}, "x" * 60_000], ids=ascii
)
def test_no_value_is_an_error_of_ours(field, wrong):
    body = json.dumps({**GOOD, field: wrong}).encode()
    payload = CallbackPayload(
        body=body, media_type="application/json", submission_id="1", submitted_at=NOW, default_region="KR"
    )
    assert _kinds(payload) <= {Kind.CALLBACK}


def _kinds(payload: CallbackPayload) -> set[Kind]:
    try:
        return {message.kind for message in normalize(payload)}
    except Malformed:
        return set()


def test_clocks_set_back_mean_the_first_of_the_two_moments():
    window = {"window_start": "2026-10-25T02:30", "window_end": "2026-10-25T04:00", "timezone": "Europe/Berlin"}
    payload = CallbackPayload(
        body=json.dumps({**GOOD, **window}).encode(),
        media_type="application/json",
        submission_id="1",
        submitted_at=datetime(2026, 10, 20, tzinfo=UTC),
        default_region="KR",
    )
    (message,) = normalize(payload)
    assert message.callback is not None
    assert message.callback.window_start == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["KST", "", "../etc/passwd", "Factory", "asia/seoul"])
def test_the_inbox_s_own_time_zone_must_be_one(zone):
    with pytest.raises(ValidationError, match="IANA name"):
        WebCallbackSettings(type="web_callback", default_timezone=zone)


def test_there_are_five_samples_in_each_language():
    names = [path.stem for path in registry.samples("web_callback")]
    assert len(names) == 10
    assert sum(name.endswith("-ko") for name in names) == sum(name.endswith("-en") for name in names) == 5


@pytest.mark.parametrize("sample", registry.samples("web_callback"), ids=lambda path: path.stem)
async def test_simulate_sends_every_sample(sample):
    async with open_door(CHANNEL, SETTINGS) as real:  # by the real clock, as simulate does
        front = FrontDoor(inbox="inbox", url=real.url, public_url="http://gateway.example")
        line = await CHANNEL.simulate(SETTINGS, front, sample.read_bytes(), {})
        (message,) = normalize(*real.host.payloads)
    assert line.startswith("202 T-7K3M-9QXR id ")
    assert message.warnings == ()


async def test_simulate_sends_what_it_is_told(form, door):
    for _ in range(2):
        await CHANNEL.simulate(SETTINGS, door, b"{}", {**GOOD, "name": "김민수", "key": "k-1"})
        await CHANNEL.simulate(SETTINGS, door, b"{}", GOOD)
    assert form.host.messages[0].requester.name == "김민수"
    assert len({message.external_id for message in form.host.messages}) == 3


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({}, "422 /phone: A phone number is needed to call back.; /topic: The topic is empty."),
        (
            {"number": "1"},
            "--set knows name, country, phone, topic, window_start, window_end, timezone, email, identity_token and key"
            ", not number",
        ),
        ({"window_start": "+1d 25:00"}, "25:00 is not a time of day"),
    ],
)
async def test_simulate_says_what_is_wrong(form, door, overrides, says):
    with pytest.raises(SimulateError) as caught:
        await CHANNEL.simulate(SETTINGS, door, b"{}", overrides)
    assert str(caught.value).startswith(says)


SITE = {"secrets": ["a secret of the site, 32 bytes long"], "audience": "callback"}


def token(**claims: Any) -> str:
    """As the customer's own site signs it; five minutes from `NOW`."""
    known = {"aud": "callback", "exp": int(NOW.timestamp()) + 300, "customer_id": "C-1", "email": "minsu@acme.example"}
    return jwt.encode({"alg": "HS256"}, known | claims, OctKey.import_key(SITE["secrets"][0]))


@pytest.mark.parametrize("browser", [True, False])
async def test_a_signed_identity_is_proof_of_what_it_says_alone(browser):
    async with open_form(identity=SITE) as form:
        sent = {**GOOD, "email": "boss@victim.example", "identity_token": token(name="김민수")}
        answer = await (form.submit(sent) if browser else form.post(sent))
        (message,) = form.host.messages
    assert answer.status == (303 if browser else 202)
    assert (message.proof, message.evidence) == (Proof.VERIFIED, ("jwt=pass",))
    assert message.requester.addresses == (Address("customer_id", "C-1"), Address("email", "minsu@acme.example"))
    assert message.requester.name == "김민수"
    assert message.submitter is not None
    typed = (Address("phone", "+821012345678"), Address("email", "boss@victim.example"))
    assert message.submitter.addresses == typed
    assert message.callback is not None
    assert message.callback.phone == "+821012345678"


@pytest.mark.parametrize(
    ("wrong", "evidence"),
    [
        (token(exp=int(NOW.timestamp()) - 61), "jwt=expired"),
        (token(aud="elsewhere"), "jwt=audience"),
        (token()[:-4] + "AAAA", "jwt=signature"),
        ("x" * 10_000, "jwt=malformed"),
    ],
)
async def test_a_bad_token_speaks_against_its_sender_and_is_taken_all_the_same(wrong, evidence):
    async with open_form(identity=SITE) as form:
        answer = await form.post({**GOOD, "identity_token": wrong})
        (message,) = form.host.messages
    assert answer.status == 202
    assert (message.proof, message.evidence, message.submitter) == (Proof.SUSPECT, (evidence,), None)
    assert message.requester.addresses == (Address("phone", "+821012345678"),)


@pytest.mark.parametrize("blank", ["", "  ", None])
async def test_without_a_token_nothing_is_proven(blank):
    async with open_form(identity=SITE) as form:
        await form.post({**GOOD, "identity_token": blank})
        (message,) = form.host.messages
    assert (message.proof, message.evidence, message.warnings) == (Proof.CLAIMED, (), ())


async def test_without_keys_a_token_is_only_mentioned(form):
    assert (await form.post({**GOOD, "identity_token": token()})).status == 202
    (message,) = form.host.messages
    assert (message.proof, [warning.code for warning in message.warnings]) == (Proof.CLAIMED, ["identity_unread"])


@pytest.mark.parametrize("settings", [{"identity": SITE}, {}])
async def test_a_retry_with_a_fresh_token_says_the_same_and_no_payload_keeps_one(settings):
    tokens = [token(), token(exp=int(NOW.timestamp()) + 301)]
    async with open_form(**settings) as form:
        for one in tokens:
            answer = await form.post({**GOOD, "identity_token": one}, **{"Idempotency-Key": "k"})
            assert answer.status == 202
        assert (
            await form.post({**GOOD, "topic": "x", "identity_token": one}, **{"Idempotency-Key": "k"})
        ).status == 422
    first, again = form.host.messages
    assert (first.external_id, first.fingerprint) == (again.external_id, again.fingerprint)
    kept = b"".join(msgspec.json.encode(payload) + payload.body for payload in form.host.payloads)
    assert not any(part.encode() in kept for one in tokens for part in one.split(".")[1:])


async def test_a_page_to_mend_keeps_the_token_of_the_site():
    async with open_form(identity=SITE) as form:
        signed = token()
        page = Page(await (await form.submit({**GOOD, "topic": "", "identity_token": signed})).text())
        assert page.values["identity_token"] == signed
        assert (await form.submit({**GOOD, "identity_token": page.values["identity_token"]})).status == 303
        assert form.host.messages[0].proof is Proof.VERIFIED


def test_what_was_proven_is_kept_with_the_payload():
    """A dead letter is replayed when the token has long expired."""
    payload = CallbackPayload(
        body=b"{}",
        media_type="application/json",
        submission_id="1",
        submitted_at=NOW,
        default_region="KR",
        identity=VerifiedIdentity(customer_id="C-1"),
    )
    for kept in (payload, msgspec.structs.replace(payload, identity=RefusedIdentity(reason="expired"))):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=CallbackPayload) == kept


@pytest.mark.parametrize("secrets", [[], [""], ["short"]])
def test_an_empty_secret_refuses_to_start(secrets):
    with pytest.raises(ValidationError):
        WebCallbackSettings.model_validate({"type": "web_callback", "identity": {**SITE, "secrets": secrets}})
