"""`simulate phone`: every sample, as Twilio would send it."""

import json

import pytest

from channels import registry
from channels.api import FrontDoor, Outcome, SimulateError
from channels.phone import CHANNEL
from channels.phone.simulate import EVENTS, simulate
from channels.testing import Door
from normalizers.message import Kind
from tests.channels.phone_door import CALL, TEXT_MESSAGE, open_phone, phone_settings
from tests.support import free_port

SAMPLES = registry.samples("phone")
SMS = json.dumps({"event": "sms", "From": "+821012345678", "To": "+827080001000", "Body": "안녕 😢"}).encode()


def front(door: Door) -> FrontDoor:
    return FrontDoor(inbox="inbox", url=door.url, public_url=door.host.public_url)


def messages(door: Door):
    return [message for payload in door.host.payloads for message in CHANNEL.normalize(payload)]


def test_half_of_the_samples_are_korean():
    assert sum(path.stem.endswith("-ko") for path in SAMPLES) == 5
    assert sum(path.stem.endswith("-en") for path in SAMPLES) == 5


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
async def test_samples_are_accepted_as_they_stand_and_new_each_time(sample):
    async with open_phone() as door:
        for _ in range(2):
            line = await simulate(phone_settings(), front(door), sample.read_bytes(), {})
            assert line.startswith(f"200 {json.loads(sample.read_bytes())['event']} ")
    assert len({message.external_id for message in messages(door)}) == 2
    assert not [warning for message in messages(door) for warning in message.warnings]
    assert all(message.requester.addresses for message in messages(door))


@pytest.mark.parametrize("event", EVENTS)
async def test_every_event_can_be_sent(event: str):
    async with open_phone() as door:
        sample = json.dumps({**CALL, **TEXT_MESSAGE}).encode()
        assert (await simulate(phone_settings(), front(door), sample, {"event": event})).startswith(f"200 {event} ")
    assert len(door.host.payloads) == (event != "message-status")


async def test_set_replaces_any_parameter():
    given = {"Body": "바꾼 글", "MessageSid": "SMsame", "OptOutType": "STOP", "From": "+821098765432"}
    async with open_phone() as door:
        for _ in range(2):
            await simulate(phone_settings(), front(door), SMS, given)
    first, second = messages(door)
    assert first == second
    assert (first.kind, first.text, first.external_id) == (Kind.OPT_OUT, "바꾼 글", "SMsame")
    assert first.requester.addresses[0].value == "+821098765432"


async def test_whatsapp_gets_its_prefix_and_a_call_its_language():
    async with open_phone() as door:
        await simulate(phone_settings(), front(door), SMS, {"event": "whatsapp"})
        await simulate(phone_settings(), front(door), SMS, {"event": "recorded", "lang": "en"})
    whatsapp, call, voicemail = messages(door)
    assert whatsapp.medium == "whatsapp"
    assert (call.language, voicemail.language) == ("en", "en")
    assert voicemail.attachments[0].remote


@pytest.mark.parametrize(
    ("sample", "given", "words"),
    [
        (SMS, {"event": "fax"}, "event is voice, menu"),
        (SMS, {"Bo dy": "x"}, "knows event, lang and Twilio's parameters"),
        (b"no json", {}, "not a JSON object"),
        (b'{"Body": 5}', {}, "not a JSON object of strings"),
        (b"\xff", {}, "not a JSON object"),
    ],
)
async def test_what_cannot_be_sent_is_said_in_words(sample: bytes, given: dict[str, str], words: str):
    async with open_phone() as door:
        with pytest.raises(SimulateError, match=words):
            await simulate(phone_settings(), front(door), sample, given)
    assert not door.host.payloads


async def test_refusals_say_what_to_do():
    async with open_phone() as door:
        with pytest.raises(SimulateError, match=r"403.*public_url"):
            await simulate(phone_settings(auth_tokens=("another",)), front(door), SMS, {})
        door.host.outcome = Outcome.DEFERRED
        with pytest.raises(SimulateError, match=r"503.*again"):
            await simulate(phone_settings(), front(door), SMS, {})
        elsewhere = FrontDoor(inbox="x", url=door.url.replace("inbox", "x"), public_url=door.host.public_url)
        with pytest.raises(SimulateError, match="404"):
            await simulate(phone_settings(), elsewhere, SMS, {})
    nobody = FrontDoor(inbox="inbox", url=f"http://127.0.0.1:{free_port()}/channels/inbox", public_url="http://x")
    with pytest.raises(SimulateError, match="is the gateway running"):
        await simulate(phone_settings(), nobody, SMS, {})
