"""Calls and text messages that Twilio reports, one form each, to messages."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec

from normalizers.message import Message
from normalizers.notes import Notes
from normalizers.twilio import calls
from normalizers.twilio.form import TwilioForm
from normalizers.twilio.texts import text_message


class Event(StrEnum):
    """What Twilio reports; the value is the path below the inbox."""

    VOICE = "voice"
    MENU = "voice/menu"
    RECORDED = "voice/recorded"
    RECORDING_STATUS = "voice/recording-status"
    TRANSCRIPTION = "voice/transcription"
    STATUS = "voice/status"
    VOICE_FALLBACK = "voice/fallback"
    MESSAGE = "messages"
    MESSAGE_STATUS = "messages/status"
    MESSAGE_FALLBACK = "messages/fallback"


_HEAVY = 16 * 1024


class PhonePayload(msgspec.Struct, frozen=True, kw_only=True):
    """One verified form of Twilio's."""

    event: Event
    fields: tuple[tuple[str, str], ...]
    """Names and values in the order they came; of a repeated name the first counts."""
    default_region: str
    """Where a number without a country is dialled (ISO 3166)."""
    language: str | None = None
    """What the voice line speaks with this caller."""


def heavy(payload: PhonePayload) -> bool:
    """Whether cleaning its texts takes more than a few milliseconds."""
    return sum(len(value) for _, value in payload.fields) > _HEAVY


_PARTS: Mapping[Event, Callable[[Message, TwilioForm], Message]] = {
    Event.MENU: calls.menu,
    Event.RECORDED: calls.recorded,
    Event.RECORDING_STATUS: calls.recording_status,
    Event.TRANSCRIPTION: calls.transcription,
    Event.STATUS: calls.status,
}


def normalize(payload: PhonePayload) -> Sequence[Message]:
    """The message; for a later part of a call the call itself as well, in case its first request never got through.

    Raises `Malformed` where Twilio's id is missing.
    """
    form = TwilioForm(payload.fields)
    if payload.event is Event.MESSAGE_STATUS or form.token("Direction").startswith("outbound"):
        return ()
    notes = Notes()
    if payload.event in (Event.VOICE_FALLBACK, Event.MESSAGE_FALLBACK):
        notes.add("fallback", f"error {form.token('ErrorCode') or 'unknown'} at the primary address")
    if payload.event in (Event.MESSAGE, Event.MESSAGE_FALLBACK):
        return (text_message(form, payload.default_region, notes),)
    call = calls.call(form, payload.default_region, payload.language, notes)
    if payload.event not in _PARTS:
        return (call,)
    part = _PARTS[payload.event](call, form)
    # The callback of a recording names no caller: alone it would announce an anonymous call.
    return (call, part) if "From" in form else (part,)
