"""Opening hours as operators write them, to minutes of a day and days of a week; raises ValueError in their words."""

import re
from collections.abc import Iterable
from datetime import date
from itertools import pairwise

Span = tuple[int, int]
"""Minutes from midnight of the day it begins on, the end excluded; an end past 1440 is on the next day."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 24 * 60
ALL_DAY: tuple[Span, ...] = ((0, DAY),)
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)
_DATE = re.compile(r"(\d{4}-)?\d\d-\d\d", re.ASCII)
_LEAP_YEAR = 2000


def span(text: str) -> Span:
    """`09:00-18:00` is (540, 1080); `22:00-06:00` ends on the morning after: (1320, 1800)."""
    match = _SPAN.fullmatch(text)
    start, end = (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])) if match else (0, 0)
    if start == end or end > DAY:
        raise ValueError("must be opening hours such as 09:00-18:00, or 22:00-06:00 until the morning after")
    return start, end if end > start else end + DAY


def spans(texts: Iterable[str]) -> tuple[Span, ...]:
    """In the order of the day. Raises ValueError where two of them overlap."""
    found = sorted(map(span, texts))
    for (_, end), (start, _) in pairwise(found):
        if start < end:
            raise ValueError("has opening hours that overlap")
    return tuple(found)


def weekdays(text: str) -> tuple[int, ...]:
    """`mon-fri` is (0, 1, 2, 3, 4), and `sun-thu` begins with 6; one day stands for itself."""
    first, _, last = text.partition("-")
    begin = DAYS.index(first)
    count = (DAYS.index(last or first) - begin) % len(DAYS) + 1
    return tuple((begin + day) % len(DAYS) for day in range(count))


def year_and_day(text: str) -> tuple[int | None, int, int]:
    """`2026-12-24`, or `12-24` for that day of every year, as (year or None, month, day)."""
    try:
        if _DATE.fullmatch(text) is None:
            raise ValueError
        whole = text.count("-") == 2
        found = date.fromisoformat(text if whole else f"{_LEAP_YEAR}-{text}")
    except ValueError:
        raise ValueError("must be a date such as 2026-12-24, or 12-24 for every year") from None
    return found.year if whole else None, found.month, found.day
