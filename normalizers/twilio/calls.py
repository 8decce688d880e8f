"""Calls, and what later becomes known of them."""

import re
from typing import Any

import msgspec

from normalizers.message import Address, Attachment, Call, Kind, Message, Proof, Requester, Thread
from normalizers.notes import Notes
from normalizers.twilio.form import TwilioForm


def call(form: TwilioForm, region: str, language: str | None, notes: Notes) -> Message:
    """The call itself, whichever report of it this is. Raises `Malformed` without its id."""
    sid = form.id("CallSid")
    caller = form.address("From", region, notes)
    called = form.address("To", region, Notes())
    stir = form.token("StirVerstat") or None
    name = form.line("CallerName", 100) if caller else ""
    return Message(
        kind=Kind.CALL,
        medium="voice",
        external_id=sid,
        identity=sid,
        requester=Requester(addresses=(caller,) if caller else (), name=name or None),
        proof=Proof.CLAIMED if caller else Proof.ANONYMOUS,
        evidence=(f"stir={stir}",) if stir else (),
        recipients=(called,) if called else (),
        thread=Thread(key=sid, external_id=sid),
        text="Incoming call",
        language=language,
        call=Call(
            call_id=sid,
            from_=_line_of(caller),
            to=_line_of(called),
            status=form.token("CallStatus") or "unknown",
            duration_s=form.count("CallDuration"),
            stir=stir,
        ),
        warnings=notes.warnings(),
    )


def menu(call: Message, form: TwilioForm) -> Message:
    """The language a caller chose, or silence."""
    digits = re.sub(r"[^0-9*#]", "", form.line("Digits", 20)) or None
    said = form.line("SpeechResult", 300)
    text = f"Menu: pressed {digits}" if digits else f"Menu: said {said}" if said else "Menu: no answer"
    return _part(call, "menu", text, told={"digits": digits})


def recorded(call: Message, form: TwilioForm) -> Message:
    """The end of a voicemail; its file may not exist yet."""
    return _recording(call, form, "recorded", "Voicemail", "No voicemail was left")


def recording_status(call: Message, form: TwilioForm) -> Message:
    """What became of a recording; names no caller."""
    status = form.token("RecordingStatus") or "unknown"
    return _recording(call, form, "recording-status", f"Recording {status}", f"Recording {status}", f"/{status}")


def transcription(call: Message, form: TwilioForm) -> Message:
    """What a voicemail says, where Twilio understood it."""
    said = form.text("TranscriptionText").strip()
    text = said or "No transcript could be made"
    return _part(call, f"transcription/{form.token('RecordingSid')}", text, told={"transcript": said or None})


def status(call: Message, form: TwilioForm) -> Message:
    """A new state of the call."""
    status = form.token("CallStatus") or "unknown"
    seconds = form.count("CallDuration")
    # By number and state: by the call alone every later state would pass for a repeat of the first.
    name = f"status/{form.token('SequenceNumber')}/{status}"
    text = f"Call {status}" + (f", {seconds} s" if seconds else "")
    return _part(call, name, text, told={}, sent_at=form.time("Timestamp"))


def _part(call: Message, name: str, text: str, *, told: dict[str, Any], **changes: Any) -> Message:
    identity = f"{call.external_id}/{name}"
    about = msgspec.structs.replace(call.call, **told) if call.call else None
    return msgspec.structs.replace(call, update=True, identity=identity, text=text, call=about, **changes)


def _recording(call: Message, form: TwilioForm, name: str, kept: str, none: str, suffix: str = "") -> Message:
    seconds, sid = form.count("RecordingDuration"), form.token("RecordingSid")
    # `absent` is silence; `in-progress` names a file that is not there yet; a failed one never will be.
    whole = form.token("RecordingStatus") in ("", "completed") and seconds != 0
    url = form.url("RecordingUrl") if whole else None
    file = Attachment(name=f"{sid or 'recording'}.wav", media_type="audio/x-wav", remote=url)
    return _part(
        call,
        f"{name}/{sid}{suffix}",
        (f"{kept}, {seconds} s" if seconds else kept) if url else none,
        told={"duration_s": seconds, "recording": 0 if url else None},
        attachments=(file,) if url else (),
        sent_at=form.time("RecordingStartTime"),
    )


def _line_of(party: Address | None) -> str | None:
    if party is None:
        return None
    return party.value if party.kind in ("phone", "short_code") else f"{party.kind}:{party.value}"
