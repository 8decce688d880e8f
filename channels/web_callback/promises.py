"""A promised time, from the gateway's receipt to the words of a page."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from channels.pages import Texts

_TOKEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", re.ASCII)


def token(moment: datetime) -> str:
    """`2026-11-22T06:31Z`: the next whole minute, so that what the page says is never before what was promised."""
    whole = moment.astimezone(UTC).replace(second=0, microsecond=0)
    if whole < moment:
        whole += timedelta(minutes=1)
    return f"{whole:%Y-%m-%dT%H:%MZ}"


def from_token(text: str) -> datetime | None:
    """None for everything that `token` does not write."""
    try:
        return datetime.fromisoformat(text) if _TOKEN.fullmatch(text) else None
    except ValueError:
        return None


def in_words(moment: datetime, zone: ZoneInfo, now: datetime, texts: Texts) -> str:
    """`by 15:30 today (Asia/Seoul)`, in the language of `texts` and by the calendar of the zone."""
    try:
        due, today = moment.astimezone(zone), now.astimezone(zone).date()
    except OverflowError:  # the first or last day of the calendar
        zone = ZoneInfo("UTC")
        due, today = moment, now.astimezone(UTC).date()
    days = (due.date() - today).days
    form = {0: "today", 1: "tomorrow"}.get(days, "day" if due.year == today.year else "day_of_year")
    return str(texts[form]).format(
        time=f"{due:%H:%M}",
        zone=zone.key,
        weekday=texts["weekdays"][due.weekday()],
        day=due.day,
        month=texts["months"][due.month - 1],
        year=due.year,
    )
