"""When X says that something happened."""

import re
from datetime import UTC, datetime, timedelta

from normalizers.notes import Notes
from normalizers.x.place import Place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAUSIBLE_YEARS = range(2006, 2200)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# "Mon Mar 26 16:33:26 +0000 2018"; not strptime, whose month names follow the locale.
_LEGACY = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d) (\d\d:\d\d:\d\d) ([+-]\d{4}) (\d{4})", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{1,16}")
_LONGEST = 40


def moment(place: Place, notes: Notes) -> datetime | None:
    """From ISO 8601, the old form of posts, or milliseconds since 1970 as a string or a number."""
    if place.value is None:
        return None
    value = str(place.value) if type(place.value) is int else place.text()
    try:
        found = _read(value) if value and len(value) <= _LONGEST else None
    except (ValueError, OverflowError):
        found = None
    if found is None or found.year not in _PLAUSIBLE_YEARS:
        notes.add("bad_date", "the time cannot be read or believed")
        return None
    return found


def _read(value: str) -> datetime:
    if _MILLISECONDS.fullmatch(value):
        return _EPOCH + timedelta(milliseconds=int(value))
    if match := _LEGACY.fullmatch(value):
        month, day, clock, zone, year = match.groups()
        if month not in _MONTHS:
            raise ValueError("no such month")
        value = f"{year}-{_MONTHS.index(month) + 1:02}-{day}T{clock}{zone}"
    found = datetime.fromisoformat(value)
    return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)
