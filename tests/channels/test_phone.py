"""The phone channel keeps the adapter's promises."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from channels.api import Outcome, Refusal
from channels.phone import CHANNEL
from channels.phone.settings import PhoneSettings
from channels.phone.signature import hmac_sha1_base64, parse_form, signed_bytes
from channels.testing import TEXT, Door
from channels.testing_signed import SignedContract
from normalizers.message import Kind, Malformed, Proof
from normalizers.phone import Event
from tests.channels.phone_door import (
    ACCOUNT,
    CALL,
    OLD_TOKEN,
    PUBLIC,
    SHARED,
    SIGNATURE,
    TEXT_MESSAGE,
    TOKEN,
    open_phone,
    phone_settings,
    post,
    secret,
    send,
    sign,
    verbs,
)

NOTHING = '<?xml version="1.0" encoding="UTF-8"?><Response />'
WRONG = ("", "\x00", "-1", "1.5", "9" * 400, "null", "[]", "{}", "a:b", "\u202e+8210", "😢", "\ud800", b"\xff\xfe")
"""Of a form every value is a string; the last two are no UTF-8."""
PARTS = {
    Event.VOICE: {},
    Event.VOICE_FALLBACK: {"ErrorCode": "11200"},
    Event.MENU: {"Digits": "2", "SpeechResult": "English"},
    Event.RECORDED: {"RecordingUrl": "https://api.twilio.com/R", "RecordingSid": "RE1", "RecordingDuration": "41"},
    Event.RECORDING_STATUS: {"RecordingStatus": "completed", "RecordingStartTime": "Sun, 22 Nov 2026 05:00:12 +0000"},
    Event.TRANSCRIPTION: {"TranscriptionText": "Hello", "TranscriptionStatus": "completed", "RecordingSid": "RE1"},
    Event.STATUS: {"SequenceNumber": "1", "CallDuration": "63", "Timestamp": "Sun, 22 Nov 2026 05:00:12 +0000"},
}


class TestPhone(SignedContract):
    channel = CHANNEL
    answers = {Outcome.ACCEPTED: "200", Outcome.REJECTED: "200", Outcome.DEFERRED: "503"}  # noqa: RUF012
    oversized_answer = "413"
    forged_answer = "403"
    secrets = (TOKEN, OLD_TOKEN, SHARED)
    old_secret = OLD_TOKEN
    document = TEXT_MESSAGE

    def settings(self) -> PhoneSettings:
        return phone_settings(max_body=1_010_000)

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        return await self.deliver_document(door, {**TEXT_MESSAGE, "MessageSid": f"SM{key}", "Body": text})

    async def deliver_document(self, door: Door, document: Any, *, secret: str | None = None) -> str:
        return await deliver_raw(door, "/messages", document, secret or TOKEN)

    async def deliver_forged(self, door: Door) -> str:
        return await self.deliver_document(door, {**TEXT_MESSAGE, "AccountSid": "AC" + "9" * 32})

    async def deliver_oversized(self, door: Door) -> str:
        return await self.deliver_document(door, {**TEXT_MESSAGE, "Body": "x" * 1_020_000})

    async def deliver_tampered(self, door: Door) -> str:
        signature = sign("/messages", TEXT_MESSAGE)
        return str((await post(door, "/messages", {**TEXT_MESSAGE, "From": "+821012345679"}, signature=signature))[0])

    async def deliver_unsigned(self, door: Door) -> str:
        return str((await post(door, "/messages", TEXT_MESSAGE, signature=None))[0])

    def mutations(self) -> Iterator[Any]:
        """Of another account, or of none, no document is genuine."""
        yield {"AccountSid": ACCOUNT}
        yield from mutated(TEXT_MESSAGE)
        yield {**TEXT_MESSAGE, "Body": "x" * 1_000_000}
        yield {**TEXT_MESSAGE, "From": "9" * 1_000_000}


async def deliver_raw(door: Door, path: str, document: Any, token: str = TOKEN) -> str:
    body = urlencode(document, errors="surrogatepass").encode()
    signature = hmac_sha1_base64(secret(token), signed_bytes(f"{PUBLIC}{path}", parse_form(body)))
    headers = {"Content-Type": "application/x-www-form-urlencoded", SIGNATURE: signature}
    return str((await send(door, path, body, headers))[0])


def mutated(document: dict[str, str]) -> Iterator[dict[str, Any]]:
    for name in document:
        if name != "AccountSid":
            yield {field: value for field, value in document.items() if field != name}
            yield from ({**document, name: wrong} for wrong in WRONG)


@pytest.mark.parametrize("event", PARTS, ids=str)
async def test_no_report_of_a_call_is_an_error_of_ours(event: Event):
    async with open_phone() as door:
        for document in mutated({**CALL, **PARTS[event]}):
            assert await deliver_raw(door, f"/{event}", document) == "200", document
    malformed = 0
    for payload in door.host.payloads:
        assert msgspec.json.decode(msgspec.json.encode(payload), type=CHANNEL.payload) == payload
        try:
            messages = CHANNEL.normalize(payload)
        except Malformed:
            malformed += 1
            continue
        assert all(message.text for message in messages)
    assert 0 < malformed <= len(WRONG) + 1  # without a CallSid, and only then


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("event", [*PARTS, Event.MESSAGE, Event.MESSAGE_FALLBACK], ids=str)
async def test_each_outcome_on_each_route(event: Event, outcome: Outcome):
    fields = {**CALL, **PARTS[event]} if event in PARTS else TEXT_MESSAGE
    async with open_phone() as door:
        door.host.outcome = outcome
        answer = await post(door, f"/{event}", fields)
        assert await post(door, f"/{event}", fields) == answer  # a repeat hears the same
    said = [verb.tag for verb in verbs(answer[1])] if answer[0] == 200 else []
    records = event in (Event.VOICE, Event.VOICE_FALLBACK, Event.MENU)
    if outcome is Outcome.REJECTED:
        assert answer == (200, NOTHING)
    elif records:
        assert (answer[0], "Record" in said) == (200, True)
    elif event is Event.RECORDED:
        assert (answer[0], said) == (200, ["Say", "Hangup"])
    else:
        assert answer[0] == (200 if outcome is Outcome.ACCEPTED else 503)
        assert said == []


async def test_a_closed_door_still_takes_a_voicemail():
    async with open_phone() as door:
        await door.close()
        voice = await post(door, "/voice", CALL)
        status = await post(door, "/voice/status", CALL)
    assert "Record" in [verb.tag for verb in verbs(voice[1])]
    assert (voice[0], status[0], door.host.payloads) == (200, 503, [])


async def test_the_fate_of_our_own_messages_is_no_ticket():
    fields = {"AccountSid": ACCOUNT, "MessageSid": "SM1", "MessageStatus": "delivered", "To": "+821012345678"}
    async with open_phone() as door:
        assert await post(door, "/messages/status", fields) == (200, NOTHING)
    assert not door.host.payloads
    assert [why for why, _ in door.host.refusals] == [Refusal.UNSUPPORTED]


async def test_parts_of_a_call_in_any_order_are_one_call_with_updates():
    order = [Event.STATUS, Event.RECORDING_STATUS, Event.TRANSCRIPTION, Event.RECORDED, Event.MENU, Event.VOICE]
    async with open_phone() as door:
        for event in [*order, *order]:
            await post(door, f"/{event}", {**CALL, **PARTS[event]})
    messages = [message for payload in door.host.payloads for message in CHANNEL.normalize(payload)]
    assert {message.identity for message in messages if not message.update} == {CALL["CallSid"]}
    assert len({message.identity for message in messages if message.update}) == len(order) - 1
    assert {(message.kind, message.thread.key) for message in messages} == {(Kind.CALL, CALL["CallSid"])}


async def test_states_of_one_call_are_told_apart():
    async with open_phone() as door:
        for number, status in enumerate(["ringing", "in-progress", "completed"]):
            await post(door, "/voice/status", {**CALL, "CallStatus": status, "SequenceNumber": str(number)})
            await post(door, "/voice/status", {**CALL, "CallStatus": status})
    messages = [message for payload in door.host.payloads for message in CHANNEL.normalize(payload)]
    assert len({message.identity for message in messages if message.update}) == 6


@pytest.mark.parametrize("withheld", ["+266696687", "+7378742833", "+86282452253", "", "anonymous", "Unavailable"])
async def test_callers_who_withhold_their_number_are_never_one(withheld: str):
    async with open_phone() as door:
        for n in range(3):
            await post(door, "/voice", {**CALL, "CallSid": f"CA{n}", "From": withheld})
            await post(door, "/messages", {**TEXT_MESSAGE, "MessageSid": f"SM{n}", "From": withheld})
    messages = [message for payload in door.host.payloads for message in CHANNEL.normalize(payload)]
    assert {message.requester.addresses for message in messages} == {()}
    assert {message.proof for message in messages} == {Proof.ANONYMOUS}
    assert len({message.thread.key for message in messages}) == 6
