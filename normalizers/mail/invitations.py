"""Invitations to meetings (RFC 5545, 5546) in words: what, when, where, who. Nothing is counted out or answered."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from normalizers.charsets import decode
from normalizers.mail.headers import decode_words
from normalizers.mail.mime import Part
from normalizers.notes import Notes
from normalizers.text import clean_line, clean_text, compose

_TYPES = ("text/calendar", "application/ics")
_LONGEST = 64 * 1024
_LONGEST_LINE = 500
_LONGEST_NOTE = 8000
_MOST_PROPERTIES = 1000
_MOST_ATTENDEES = 50

# One event without its alarms, and without the calendar's time zones, whose rules could be counted out for ever.
_EVENT = re.compile(
    r"^BEGIN:(VEVENT|VTODO)[ \t]*\n(.*?)^(?:END:\1|BEGIN:VALARM)", re.DOTALL | re.MULTILINE | re.IGNORECASE
)
_METHOD = re.compile(r"^METHOD(?:;[^:\n]*)?:[ \t]*([A-Za-z-]{1,20})", re.MULTILINE | re.IGNORECASE)
_TITLES = {
    "REQUEST": "Invitation",
    "PUBLISH": "Event",
    "ADD": "Invitation",
    "CANCEL": "Cancelled",
    "REPLY": "Reply to an invitation",
    "COUNTER": "Another time proposed",
    "DECLINECOUNTER": "Proposed time declined",
    "REFRESH": "Event asked for",
}
_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative", "DELEGATED": "delegated"}


def invitation_of(files: Sequence[object], notes: Notes) -> str:
    """The first of them as lines of `label: value`; empty where there is none, or none that can be read."""
    for part in files:
        if isinstance(part, Part) and (part.media_type in _TYPES or part.filename.lower().endswith(".ics")):
            data = part.body(Notes(), _LONGEST)[:_LONGEST]
            text = decode(data, part.parameters.get("charset", ""), guess=False, whole=False)
            return _readable(text.replace("\r\n", "\n").replace("\r", "\n"), part, notes)
    return ""


def beneath(words: str, invitation: str) -> str:
    """Words with the invitation under them, unless they tell its title already, as those of most calendars do."""
    if not words.strip():
        return invitation
    head, _, note = invitation.partition("\n\n")
    title = head.partition("\n")[0].partition(": ")[2]
    told = title and title in words and "".join(note.split()) in "".join(words.split())
    return words if not invitation or told else f"{words}\n\n{invitation}"


def _readable(text: str, part: Part, notes: Notes) -> str:
    event = _EVENT.search(text)
    if event is None or event[2].count("\n") > _MOST_PROPERTIES:
        return ""
    method = _METHOD.search(text)
    named = method[1] if method else part.parameters.get("method", "publish")
    try:
        return _told(_parsed(event[1].upper(), event[2]), named.upper())
    except Exception:  # a stranger's calendar in a library's hands; the file is kept whatever it holds
        notes.add("invitation", "an invitation cannot be read: it is among the attachments")
        return ""


def _parsed(kind: str, properties: str) -> Any:
    from icalendar import Component  # slow to import and rarely needed

    return Component.from_ical(f"BEGIN:{kind}\r\n{properties}END:{kind}\r\n")


def _told(event: Any, method: str) -> str:
    lines = [f"{_TITLES.get(method, 'Event')}: {_line(event.get('summary')) or '-'}"]
    start, end = event.get("dtstart"), event.get("dtend") or event.get("due")
    if start is not None:
        lines.append(f"When: {_period(start, end)}")
    if rule := event.get("rrule"):
        lines.append(f"Repeated: {clean_line(_first(rule).to_ical().decode('utf-8', 'replace'), _LONGEST_LINE)}")
    if where := _line(event.get("location")):
        lines.append(f"Where: {where}")
    if organizer := event.get("organizer"):
        lines.append(f"Organizer: {_person(_first(organizer))}")
    attendees = event.get("attendee") or []
    attendees = attendees if isinstance(attendees, list) else [attendees]
    lines += [f"Who: {_person(one)}" for one in attendees[:_MOST_ATTENDEES]]
    if len(attendees) > _MOST_ATTENDEES:
        lines.append(f"Who: and {len(attendees) - _MOST_ATTENDEES} more")
    for name in ("description", "comment"):
        if (note := event.get(name)) is not None:
            lines += ["", clean_text(str(_first(note)))[:_LONGEST_NOTE].strip()]
    return compose("\n".join(lines)).rstrip()


def _period(start: Any, end: Any) -> str:
    begin, zone = _moment(start)
    if end is None:
        return f"{begin}{zone}"
    finish, end_zone = _moment(end)
    if end_zone == zone and finish[:10] == begin[:10]:
        finish = finish[11:]
    return f"{begin} - {finish}{end_zone}" if finish else f"{begin}{zone}"


def _moment(value: Any) -> tuple[str, str]:
    """The time as it stands on the wall there, and where that is."""
    moment: date = _first(value).dt
    if not isinstance(moment, datetime):
        return moment.isoformat(), ""
    named = clean_line(str(_first(value).params.get("TZID", "")), 100)
    zone = named or ("UTC" if moment.tzinfo is not None else "")
    return moment.strftime("%Y-%m-%d %H:%M"), f" ({zone})" if zone else ""


def _person(value: Any) -> str:
    address = clean_line(str(value), _LONGEST_LINE)
    address = address[7:] if address.lower().startswith("mailto:") else address
    name = clean_line(decode_words(str(value.params.get("CN", "")), Notes()), 200)
    answer = _ANSWERS.get(str(value.params.get("PARTSTAT", "")).upper())
    shown = f"{name} <{address}>" if name and name != address else address
    return f"{shown} ({answer})" if answer else shown


def _line(value: Any) -> str:
    return clean_line(str(_first(value)), _LONGEST_LINE) if value is not None else ""


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
