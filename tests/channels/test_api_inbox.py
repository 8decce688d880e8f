"""The API inbox keeps the adapter's promises, and its own: tokens, keys, ids, every fault at once."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest
from pydantic import ValidationError

from channels import registry
from channels.api import FrontDoor, Outcome, Receipt, Reference, Refusal, SimulateError
from channels.api_inbox import CHANNEL
from channels.api_inbox.settings import ApiClient, ApiSettings
from channels.testing import TEXT, AdapterContract, Door, open_door
from channels.testing_signed import SignedContract
from normalizers.api_inbox import ApiPayload, normalize
from normalizers.message import Incomplete, Malformed, Message
from tests.support import free_port

TOKEN, OTHER, SUSPENDED = "portal-token-for-tests", "shop-token-for-tests", "suspended-token-for-tests"
DEVELOPMENT = "development-only-portal"
TICKET = {"requester": {"name": "김민수", "email": "customer@acme.example"}, "subject": "결제", "text": TEXT}
FULL = TICKET | {
    "external_id": "o-1",
    "html": "<p>x</p>",
    "submitter": {"addresses": [{"kind": "phone", "value": "+82212345678"}], "customer_id": "C-1"},
    "attachments": [{"name": "a.txt", "media_type": "text/plain", "content_base64": "eA=="}],
    "related": [{"system": "crm", "type": "Case", "id": "5"}],
    "sent_at": "2026-11-22T05:00:00Z",
}


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def settings(**more: Any) -> ApiSettings:
    clients = (
        ApiClient(name="portal", token_sha256=digest(TOKEN)),
        ApiClient(name="shop", token_sha256=digest(OTHER).upper()),
        ApiClient(name="old", token_sha256=digest(SUSPENDED), scopes=()),
        ApiClient(name="dev", token_sha256=digest(DEVELOPMENT)),
    )
    return ApiSettings(type="api", clients=clients, **more)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def codes(self) -> dict[str, str]:
        return {error["pointer"]: error["code"] for error in self.body["errors"]}


async def post(door: Door, ticket: Any = TICKET, *, token: str | None = TOKEN, **headers: str) -> Answer:
    """What a program sends; `ticket` as JSON unless it is bytes."""
    body = ticket if isinstance(ticket, bytes) else json.dumps(ticket).encode()
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if token is not None:
        sent.setdefault("Authorization", f"Bearer {token}")
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{door.url}/messages", data=body, headers=sent) as answer,
    ):
        return Answer(answer.status, answer.headers, msgspec.json.decode(await answer.read()))


class TestApi(AdapterContract):
    channel = CHANNEL
    answers = {Outcome.ACCEPTED: "202", Outcome.REJECTED: "422", Outcome.DEFERRED: "503"}  # noqa: RUF012
    oversized_answer = "413"
    forged_answer = "401"
    secrets = (TOKEN, OTHER, digest(TOKEN))

    def settings(self) -> ApiSettings:
        return settings(max_body=10_000)

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        return str((await post(door, TICKET | {"text": text}, Idempotency_Key=key)).status)

    async def deliver_forged(self, door: Door) -> str:
        return str((await post(door, token="customer@guessed")).status)

    async def deliver_oversized(self, door: Door) -> str:
        return str((await post(door, TICKET | {"text": "x" * 20_000})).status)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door(CHANNEL, settings()) as door:
        yield door


def message(door: Door, number: int = -1) -> Message:
    (message,) = CHANNEL.normalize(door.host.payloads[number])
    return message


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, "Bearer"),
        ("", "Bearer"),
        ("Bearer", "Bearer"),
        ("Bearer  ", "Bearer"),
        (f"Basic {base64.b64encode(f'portal:{TOKEN}'.encode()).decode()}", "Bearer"),
        (TOKEN, "Bearer"),
        ("Bearer wrong", 'Bearer error="invalid_token"'),
        (f"Bearer {TOKEN}x", 'Bearer error="invalid_token"'),
        (f"Bearer {digest(TOKEN)}", 'Bearer error="invalid_token"'),
        ("Bearer 열쇠", 'Bearer error="invalid_token"'),
    ],
)
async def test_without_a_known_token_nothing_is_read(door, authorization, challenge):
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await post(door, b"{", token=None, **headers)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, challenge)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [why for why, _ in door.host.refusals] == [Refusal.FORGED]
    assert not door.host.payloads


async def test_each_client_is_known_by_its_own_token(door):
    for token, scheme in ((TOKEN, "Bearer"), (OTHER, "bearer"), (TOKEN, "BEARER ")):
        assert (await post(door, Authorization=f"{scheme} {token}")).status == 202
    assert [payload.client for payload in door.host.payloads] == ["portal", "shop", "portal"]
    assert message(door, 1).evidence == ("client=shop",)


async def test_a_client_without_the_scope_is_known_and_may_not_post(door):
    answer = await post(door, token=SUSPENDED)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (
        403,
        'Bearer error="insufficient_scope", scope="write"',
    )
    assert door.host.refusals == [(Refusal.FORGED, "token without scope")]
    assert not door.host.payloads


async def test_accepted_says_reference_id_duplicate_and_time(door):
    first = Reference(id="i-1", reference="T-7K3M-9QXR", duplicate=True)

    async def intake(payload: ApiPayload, /) -> Receipt:
        return Receipt(outcome=Outcome.ACCEPTED, references=(first,))

    door.host.intake = intake
    answer = await post(door)
    assert (answer.status, answer.headers["Content-Type"]) == (202, "application/json")
    assert answer.body == {"reference": "T-7K3M-9QXR", "id": "i-1", "duplicate": True, "reply_by": None}


async def test_deferred_says_when_to_try_again(door):
    door.host.outcome = Outcome.DEFERRED
    answer = await post(door)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")


@pytest.mark.parametrize("media_type", ["text/json", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_another_media_type_is_told_the_one_that_is_read(door, media_type):
    answer = await post(door, Content_Type=media_type)
    assert (answer.status, answer.headers["Accept-Post"]) == (415, "application/json")
    assert door.host.refusals == [(Refusal.UNSUPPORTED, "media type of a ticket")]


async def test_a_media_type_may_have_parameters(door):
    assert (await post(door, Content_Type="application/json; charset=utf-8")).status == 202


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb", "a\u0085b"])
async def test_an_unusable_key_is_400(door, key):
    assert (await post(door, Idempotency_Key=key)).status == 400
    assert not door.host.payloads


async def test_a_body_that_cannot_be_decompressed_is_400_and_no_exception(door, caplog):
    assert (await post(door, b"not gzip", Content_Encoding="gzip")).status == 400
    assert (await post(door)).status == 202
    assert not caplog.records


async def test_a_body_that_does_not_come_is_408(door, monkeypatch):
    monkeypatch.setattr("channels.posts._READ_SECONDS", 0.01)
    host, port = door.url.removeprefix("http://").partition("/")[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = ("POST /channels/inbox/messages HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}")
    writer.write("\r\n".join((*lines, "Content-Type: application/json", "Content-Length: 50", "", "{")).encode())
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.transport.abort()
    assert status == b"HTTP/1.1 408 Request Timeout\r\n"
    assert not door.host.payloads


async def test_every_fault_is_told_at_once_with_its_pointer(door):
    async def intake(payload: ApiPayload, /) -> Receipt:
        with pytest.raises(Incomplete) as caught:
            normalize(payload)
        return Receipt(outcome=Outcome.REJECTED, problems=caught.value.problems)

    door.host.intake = intake
    answer = await post(door, {"requester": {"email": "minsu@"}, "related": [{}], "sent_at": "yesterday"})
    assert (answer.status, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert answer.codes == {
        "/requester/email": "invalid_email",
        "/text": "required",
        "/related/0/system": "required",
        "/related/0/type": "required",
        "/related/0/id": "required",
        "/sent_at": "invalid_time",
    }


class _Keyed:
    """The names the gateway makes ids of."""

    def __init__(self, ticket: Any, *, client: str = "portal", key: str | None = None) -> None:
        body = ticket if isinstance(ticket, bytes) else json.dumps(ticket).encode()
        made = f"key:{digest(key)}" if key else f"made-{next(_numbers)}"
        payload = ApiPayload(client=client, body=body, submission_id=made, keyed=key is not None)
        (self.message,) = normalize(payload)
        self.identity, self.fingerprint = self.message.identity, self.message.fingerprint


_numbers = iter(range(1000))


@pytest.mark.parametrize("named", [{"key": "k"}, {"external_id": "o-1"}, {"key": "k", "external_id": "o-1"}])
def test_same_name_same_content_is_a_duplicate_and_other_content_a_conflict(named):
    key, ids = named.get("key"), {k: v for k, v in named.items() if k != "key"}
    first, again = _Keyed(TICKET | ids, key=key), _Keyed(TICKET | ids, key=key)
    other = _Keyed(TICKET | ids | {"text": "Other words."}, key=key)
    assert first.identity == again.identity == other.identity
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.fingerprint


def test_one_external_id_is_one_message_where_no_key_says_otherwise():
    one, again = (_Keyed(TICKET | {"external_id": "o-1"}) for _ in range(2))
    assert one.identity == again.identity
    assert one.message.external_id == "o-1"


def test_the_same_key_with_another_body_is_a_conflict_whatever_the_body_names():
    one, other, third = (_Keyed(TICKET | ids, key="k") for ids in ({"external_id": "o-1"}, {"external_id": "o-2"}, {}))
    assert one.identity == other.identity == third.identity
    assert len({one.fingerprint, other.fingerprint, third.fingerprint}) == 3


def test_without_any_name_each_post_is_its_own():
    one, other = _Keyed(TICKET), _Keyed(TICKET)
    assert one.identity != other.identity
    assert one.fingerprint is None


@pytest.mark.parametrize("named", [{"key": "k"}, {"external_id": "o-1"}])
def test_keys_and_ids_of_one_client_are_not_those_of_another(named):
    key, ids = named.get("key"), {k: v for k, v in named.items() if k != "key"}
    portal, shop = (_Keyed(TICKET | ids, client=client, key=key) for client in ("portal", "shop"))
    assert portal.identity != shop.identity
    assert portal.message.thread.key != shop.message.thread.key


def test_no_external_id_passes_for_the_key_of_another_ticket():
    forged = _Keyed(TICKET | {"external_id": f"key:{digest('k')}"})
    assert forged.identity != _Keyed(TICKET, key="k").identity


def test_a_file_as_large_as_the_inbox_allows_is_whole():
    content = bytes(range(256)) * 2048
    encoded = base64.encodebytes(content).decode()
    ticket = TICKET | {"attachments": [{"name": "scan.bin", "content_base64": encoded}]}
    assert _Keyed(ticket).message.attachments[0].content == content


@pytest.mark.parametrize("field", ["text", "html"])
def test_a_text_has_a_limit_however_it_comes(field):
    assert len(_Keyed({"requester": {"name": "n"}, field: "본" * 100_000}).message.text) == 100_000
    with pytest.raises(Incomplete) as caught:
        _Keyed({"requester": {"name": "n"}, field: "본" * 100_001})
    assert [(fault.pointer, fault.code) for fault in caught.value.problems] == [(f"/{field}", "too_long")]


class _Wrong(SignedContract):
    document = FULL


def test_no_value_of_any_type_is_an_error_of_ours():
    outcomes: set[type] = set()
    for ticket in _Wrong().mutations():
        try:
            outcomes.add(type(_Keyed(ticket).message))
        except Malformed as fault:
            outcomes.add(type(fault))
    assert outcomes == {Message, Incomplete, Malformed}


@pytest.mark.parametrize(
    ("clients", "says"),
    [
        ([], "at least 1 item"),
        ([{"name": "a", "token_sha256": digest("")}], "SHA-256 of an empty token"),
        ([{"name": "a", "token_sha256": digest(TOKEN)}, {"name": "a", "token_sha256": digest(OTHER)}], "each name"),
        (
            [{"name": "a", "token_sha256": digest(TOKEN)}, {"name": "b", "token_sha256": digest(TOKEN).upper()}],
            "each t",
        ),
        ([{"name": "a", "token_sha256": digest(TOKEN), "scopes": ["read"]}], "Input should be 'write'"),
    ],
)
def test_settings_refuse_clients_that_cannot_be_told_apart(clients, says):
    with pytest.raises(ValidationError, match=says):
        ApiSettings.model_validate({"type": "api", "clients": clients})


def front(door: Door) -> FrontDoor:
    return FrontDoor(inbox="inbox", url=door.url, public_url="http://gateway.example")


@pytest.mark.parametrize("sample", registry.samples("api"), ids=lambda path: path.stem)
async def test_simulate_sends_every_sample_as_new_each_time(door, sample):
    for _ in range(2):
        line = await CHANNEL.simulate(settings(), front(door), sample.read_bytes(), {})
        assert line.startswith("202 T-7K3M-9QXR id ")
    assert {warning.code for warning in message(door).warnings} <= {"html_not_kept"}
    assert message(door, 0).identity != message(door, 1).identity


async def test_there_are_ten_samples_half_of_them_korean():
    stems = [path.stem for path in registry.samples("api")]
    assert len(stems) == 10
    assert sum(stem.endswith("-ko") for stem in stems) == sum(stem.endswith("-en") for stem in stems) == 5


async def test_simulate_sends_what_it_is_told(door):
    told = {"token": OTHER, "key": "k-1", "external_id": "o-7", "text": "Hello", "email": "jane@initech.example"}
    for _ in range(2):
        await CHANNEL.simulate(settings(), front(door), json.dumps(TICKET).encode(), told)
    assert door.host.payloads[0] == door.host.payloads[1]
    assert door.host.payloads[0].client == "shop"
    assert (message(door).external_id, message(door).text) == ("o-7", "Hello")
    assert (message(door).requester.name, message(door).requester.addresses[0].value) == (None, "jane@initech.example")


@pytest.mark.parametrize(
    ("sample", "overrides", "says"),
    [
        (b"[]", {}, "the sample is not a JSON object"),
        (b"{}", {"html": "x"}, "--set knows external_id, subject, text, name, email, phone, token and key, not html"),
        (b"{}", {"token": "wrong"}, "401: the inbox has no client with this token; give one with --set token=…"),
        (b"{}", {"token": SUSPENDED}, "403 This token may not post tickets."),
    ],
)
async def test_simulate_says_what_is_wrong(door, sample, overrides, says):
    with pytest.raises(SimulateError) as caught:
        await CHANNEL.simulate(settings(), front(door), sample, overrides)
    assert str(caught.value).startswith(says)


async def test_simulate_passes_on_what_the_gateway_says(door):
    door.host.outcome = Outcome.REJECTED
    with pytest.raises(SimulateError, match=r"422 body: It cannot be read\."):
        await CHANNEL.simulate(settings(), front(door), b"{}", {})


async def test_simulate_says_that_nothing_or_another_server_listens(door):
    nobody = FrontDoor(inbox="inbox", url=f"http://127.0.0.1:{free_port()}/x", public_url="http://gateway.example")
    with pytest.raises(SimulateError, match="is the gateway running"):
        await CHANNEL.simulate(settings(), nobody, b"{}", {})
    other = FrontDoor(inbox="inbox", url=f"{door.url}/other", public_url="http://gateway.example")
    with pytest.raises(SimulateError, match="no API inbox at"):
        await CHANNEL.simulate(settings(), other, b"{}", {})
