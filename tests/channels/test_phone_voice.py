"""What callers hear, followed as Twilio would follow it."""

from urllib.parse import urldefrag
from xml.etree.ElementTree import Element

import pytest

from channels.api import Outcome
from channels.phone.voice import VoiceLine
from normalizers.phone import Event
from tests.channels.phone_door import CALL, PUBLIC, open_phone, phone_settings, post, verbs

SEOYEON = {"language": "ko-KR", "voice": "Polly.Seoyeon"}


def line(**settings: object) -> VoiceLine:
    return VoiceLine(PUBLIC, phone_settings(**settings))


def said(found: list[Element]) -> str:
    return " ".join(verb.text or "" for verb in found if verb.tag == "Say")


async def test_a_whole_call_in_korean():
    async with open_phone() as door:
        _, welcome = await post(door, "/voice", CALL)
        menu = verbs(welcome)[0]
        assert (menu.tag, menu.get("input"), menu.get("actionOnEmptyResult")) == ("Gather", "dtmf speech", "true")
        _, document = await post(door, path(menu.get("action")), {**CALL, "Digits": "1"})
        prompt, record, *_ = verbs(document)
        assert prompt.attrib == SEOYEON
        assert record.get("transcribe") is None
        recorded = {**CALL, "RecordingSid": "RE1", "RecordingUrl": "https://api.twilio.com/R", "RecordingDuration": "9"}
        _, thanks = await post(door, path(record.get("action")), recorded)
        assert said(verbs(thanks)).count("T, 7, K, 3, M, 9, Q, X, R") == 2
        assert verbs(thanks)[0].attrib == SEOYEON
        assert verbs(thanks)[-1].tag == "Hangup"
        ready = {"AccountSid": CALL["AccountSid"], "CallSid": CALL["CallSid"], "RecordingStatus": "completed"}
        assert (await post(door, path(record.get("recordingStatusCallback")), ready))[0] == 200
    assert [payload.event for payload in door.host.payloads] == [
        *(Event.VOICE, Event.MENU, Event.RECORDED, Event.RECORDING_STATUS),
    ]
    assert [payload.language for payload in door.host.payloads] == [None, "ko", "ko", "ko"]


async def test_english_is_transcribed():
    async with open_phone() as door:
        _, document = await post(door, "/voice/menu", {**CALL, "Digits": "2"})
        prompt, record, *_ = verbs(document)
        assert prompt.get("language") == "en-US"
        assert record.get("transcribe") == "true"
        transcript = {**CALL, "TranscriptionText": "Hello", "RecordingSid": "RE1"}
        assert (await post(door, path(record.get("transcribeCallback")), transcript))[0] == 200
    assert door.host.payloads[-1].language == "en"


async def test_nothing_is_promised_that_was_not_kept():
    async with open_phone() as door:
        door.host.outcome = Outcome.DEFERRED
        _, thanks = await post(door, "/voice/recorded?lang=en", CALL)
    assert "recorded" in said(verbs(thanks))
    assert "reference" not in said(verbs(thanks))


def test_silence_in_the_menu_and_after_the_tone_leads_on():
    menu, *rest = verbs(line().welcome)
    assert menu.tag == "Gather"
    assert [verb.tag for verb in rest] == ["Say", "Record", "Say", "Hangup"]
    assert said(list(menu)).count("1번") == said(list(menu)).count("press 2") == 1


def test_one_language_needs_no_menu():
    only = line(languages=["en"])
    assert [verb.tag for verb in verbs(only.welcome)] == ["Say", "Say", "Record", "Say", "Hangup"]
    assert only.language(None) == only.language("ko") == "en"


def test_the_first_language_is_offered_first():
    menu = verbs(line(languages=["en", "ko"]).welcome)[0]
    assert [verb.get("language") for verb in menu] == ["en-US", "ko-KR", "en-US", "ko-KR"]
    assert "press 1" in said(list(menu))


@pytest.mark.parametrize(
    ("digits", "heard", "language"),
    [
        *(("1", "", "ko"), ("2", "", "en"), ("", "", "ko"), ("9", "", "ko"), ("", "음…", "ko")),
        *(
            ("", "English, please.", "en"),
            ("", "영어로 해 주세요", "en"),
            ("", "한국어요", "ko"),
            ("1", "english", "ko"),
        ),
        *(("1", "english", "ko"), ("2" * 300_000, "x" * 300_000, "ko"), ("²", "", "ko")),
    ],
)
def test_a_language_is_chosen_by_key_or_word(digits: str, heard: str, language: str):
    assert line().chosen(digits, heard) == language


def test_own_texts_with_any_characters_are_good_xml():
    own = line(greetings={"ko": "<&> \"안녕\" '하세요'\x00\x01 😢"}, prompts={"en": "A & B < C"})
    menu = verbs(own.welcome)[0]
    assert menu[0].text == "<&> \"안녕\" '하세요' 😢"
    assert menu[1].text == line().welcome.partition('"Polly.Joanna">')[2].partition("</Say>")[0]
    assert verbs(own.take_message("en"))[0].text == "A & B < C"


def test_recordings_are_as_long_as_the_operator_says():
    record = verbs(line(longest_recording=60).take_message("ko"))[1]
    assert record.get("maxLength") == "60"


def test_addresses_ask_for_retries_that_are_not_part_of_the_signature():
    record = verbs(line().take_message("ko"))[1]
    address, fragment = urldefrag(record.get("recordingStatusCallback") or "")
    assert address == f"{PUBLIC}/voice/recording-status?lang=ko"
    assert fragment == "rc=3&rp=5xx,ct,rt"


@pytest.mark.parametrize(
    ("key", "value"),
    [("auth_tokens", [""]), ("auth_tokens", []), ("shared_keys", {"k": ""}), ("greetings", {"ko": ""})],
)
def test_settings_refuse_empty_secrets_and_texts(key: str, value: object):
    with pytest.raises(ValueError, match="at least 1"):
        phone_settings(**{key: value})


def path(action: str | None) -> str:
    """An address of ours below the inbox, without the fragment that is for Twilio alone."""
    assert action is not None
    assert action.startswith(f"{PUBLIC}/")
    return urldefrag(action)[0].removeprefix(PUBLIC)
