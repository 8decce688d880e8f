"""Business time, against a slow and obvious count of minutes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.tagging.calendars import ALWAYS, BusinessHours
from gateway.tagging.hours import ALL_DAY, DAY, Span, span, spans, weekdays, year_and_day

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SEOUL, BERLIN, NEW_YORK = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
NINE_TO_SIX: tuple[Span, ...] = ((540, 1080),)
OFFICE = (*[NINE_TO_SIX] * 5, (), ())
NIGHTS = [((1320, 1800),)] * 7

Dates = Mapping[tuple[int | None, int, int], Sequence[Span]]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: ZoneInfo, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


class Oracle:
    """Looks at the clock on the wall, minute by minute."""

    def __init__(
        self, zone: ZoneInfo, week: Sequence[Sequence[Span]], dates: Dates, holidays: frozenset[date] = frozenset()
    ) -> None:
        self.zone, self.week, self.dates, self.holidays = zone, week, dates, holidays

    def spans(self, day: date) -> Sequence[Span]:
        for key in ((day.year, day.month, day.day), (None, day.month, day.day)):
            if key in self.dates:
                return self.dates[key]
        return () if day in self.holidays else self.week[day.weekday()]

    def open_at(self, moment: datetime) -> bool:
        wall = moment.astimezone(self.zone)
        minute = wall.hour * 60 + wall.minute
        today, yesterday = self.spans(wall.date()), self.spans(wall.date() - timedelta(days=1))
        return any(start <= minute < end for start, end in today) or any(
            start <= minute + DAY < end for start, end in yesterday
        )

    def due(self, moment: datetime, minutes: int) -> datetime:
        while minutes:
            minutes -= self.open_at(moment)
            moment += MINUTE
        return moment


@st.composite
def days(draw: st.DrawFn) -> tuple[Span, ...]:
    """Hours of one day, the last of them perhaps until the next morning."""
    marks = sorted(draw(st.sets(st.integers(0, 48).map(lambda half: half * 30 - half % 3 * 10), max_size=4)))
    found = [(start, end) for start, end in zip(marks[::2], marks[1::2], strict=False) if start < end]
    if draw(st.booleans()):
        found = [one for one in found if one[1] <= 20 * 60] + [(20 * 60, DAY + draw(st.integers(1, 9)) * 45)]
    return tuple(found)


SHIFTS: tuple[tuple[Span, ...], ...] = (
    ((1320, 1800),),
    ((60, 300), (1200, 1620)),  # begins before the night of the day before has ended
    ((0, 480), (960, 1440)),
    ((540, 720), (780, 1080)),
)
WEEKS = st.lists(st.one_of(days(), st.sampled_from(SHIFTS)), min_size=7, max_size=7).filter(lambda week: any(week[:5]))
ZONES = st.sampled_from(
    [
        "UTC",
        "Asia/Seoul",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Tehran",
    ]
).map(ZoneInfo)
CHANGES = "2026-03-08 2026-03-29 2026-04-05 2026-10-04 2026-10-25 2026-11-01 2026-12-31 2028-02-29".split()
MOMENTS = st.one_of(
    st.datetimes(datetime(2019, 1, 1), datetime(2031, 12, 31)),
    # Near the days on which clocks change, years turn and leap days come.
    st.builds(
        lambda near, hours: near + timedelta(hours=hours),
        st.sampled_from([datetime.fromisoformat(day) for day in CHANGES]),
        st.integers(-30, 30),
    ),
).map(lambda moment: moment.replace(second=0, microsecond=0, tzinfo=UTC))


@given(zone=ZONES, week=WEEKS, moment=MOMENTS, minutes=st.integers(1, 600), closed=st.sets(st.integers(-2, 5)))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_says_what_counting_minutes_says(zone, week, moment, minutes, closed):
    holidays = frozenset(moment.date() + timedelta(days=day) for day in closed)
    half_day = moment.date() + timedelta(days=1)
    dates: Dates = {(half_day.year, half_day.month, half_day.day): ((600, 700),), (None, 2, 29): ()}
    ours = BusinessHours(zone, week, dates=dates, holidays=holidays)
    oracle = Oracle(zone, week, dates, holidays)
    assert ours.open_at(moment) == oracle.open_at(moment)
    assert ours.due(moment, minutes * MINUTE) == oracle.due(moment, minutes)


@given(zone=ZONES, week=WEEKS, moment=MOMENTS, one=st.integers(1, 5000), two=st.integers(1, 5000))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_time_adds_up(zone, week, moment, one, two):
    ours = BusinessHours(zone, week)
    between = ours.due(moment, one * MINUTE)
    assert ours.due(between, two * MINUTE) == ours.due(moment, (one + two) * MINUTE)
    assert ours.due(moment, one * MINUTE) < ours.due(moment, (one + 1) * MINUTE)


@pytest.mark.parametrize(
    ("received", "target", "due"),
    [
        ("2026-11-23T10:00", 4, "2026-11-23T14:00"),
        ("2026-11-23T14:00", 4, "2026-11-23T18:00"),  # at closing time, not at the next opening
        ("2026-11-23T14:00:00.001", 4, "2026-11-24T09:00:00.001"),
        ("2026-11-20T17:00", 4, "2026-11-23T12:00"),  # over a weekend
        ("2026-11-21T12:00", 4, "2026-11-23T13:00"),  # on a Saturday
        ("2026-11-23T03:00", 4, "2026-11-23T13:00"),
        ("2026-12-31T17:00", 2, "2027-01-01T10:00"),  # over the end of a year
        ("2028-02-28T17:00", 10, "2028-02-29T18:00"),  # a leap day
        ("2026-11-23T09:00", 45, "2026-11-27T18:00"),
    ],
)
def test_four_hours_of_an_office_in_seoul(received, target, due):
    assert BusinessHours(SEOUL, OFFICE).due(local(received, SEOUL), target * HOUR) == local(due, SEOUL)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T08:59:59.999999", False),
        ("2026-11-23T09:00", True),
        ("2026-11-23T17:59:59.999999", True),
        ("2026-11-23T18:00", False),
        ("2026-11-22T12:00", False),
    ],
)
def test_opening_is_open_and_closing_is_not(moment, is_open):
    assert BusinessHours(SEOUL, OFFICE).open_at(local(moment, SEOUL)) is is_open


def test_a_break_over_lunch_does_not_count():
    lunch = BusinessHours(SEOUL, [spans(["09:00-12:00", "13:00-18:00"])] * 7)
    assert lunch.due(local("2026-11-23T11:30", SEOUL), HOUR) == local("2026-11-23T13:30", SEOUL)
    assert not lunch.open_at(local("2026-11-23T12:30", SEOUL))


def test_a_night_shift_is_one_stretch_and_belongs_to_the_evening():
    friday_only = BusinessHours(SEOUL, [(), (), (), (), ((1320, 1800),), (), ()])
    assert friday_only.due(local("2026-11-20T23:00", SEOUL), 4 * HOUR) == local("2026-11-21T03:00", SEOUL)
    assert friday_only.open_at(local("2026-11-21T05:59", SEOUL))
    assert not friday_only.open_at(local("2026-11-20T05:00", SEOUL))


@pytest.mark.parametrize(
    ("zone", "received", "hours", "due"),
    [
        (BERLIN, "2026-03-28T23:00", 6, "2026-03-29T06:00"),  # one of seven hours was skipped
        (BERLIN, "2026-10-24T23:00", 8, "2026-10-25T06:00"),  # one of seven hours came twice
        (NEW_YORK, "2026-03-07T22:00", 7, "2026-03-08T06:00"),
        (NEW_YORK, "2026-10-31T22:00", 9, "2026-11-01T06:00"),
    ],
)
def test_a_night_is_shorter_or_longer_where_clocks_change(zone, received, hours, due):
    assert BusinessHours(zone, NIGHTS).due(local(received, zone), hours * HOUR) == local(due, zone)


def test_a_shift_that_begins_within_the_night_before_counts_once():
    early = BusinessHours(SEOUL, [((60, 300), (1200, 1620))] * 7)
    assert early.due(local("2026-11-20T20:00", SEOUL), 8 * HOUR) == local("2026-11-21T04:00", SEOUL)
    assert early.open_time(2026) == timedelta(hours=9) * 365


def test_an_hour_that_clocks_skip_is_never_open():
    early = BusinessHours(BERLIN, [((120, 180),)] * 7)
    assert early.due(local("2026-03-29T00:00", BERLIN), HOUR) == local("2026-03-30T03:00", BERLIN)


def test_an_hour_that_clocks_repeat_is_open_twice():
    early = BusinessHours(BERLIN, [((120, 180),)] * 7)
    assert early.due(local("2026-10-25T00:00", BERLIN), 2 * HOUR) == utc("2026-10-25T02:00")


def test_holidays_are_closed_and_a_date_outranks_them():
    christmas = frozenset({date(2026, 12, 25), date(2026, 12, 24)})
    dates: Dates = {(2026, 12, 24): ((540, 720),), (None, 12, 31): ()}
    office = BusinessHours(SEOUL, OFFICE, dates=dates, holidays=christmas)
    assert office.due(local("2026-12-24T09:00", SEOUL), 4 * HOUR) == local("2026-12-28T10:00", SEOUL)
    assert not office.open_at(local("2026-12-31T10:00", SEOUL))
    assert not office.open_at(local("2031-12-31T10:00", SEOUL))


def test_a_day_the_date_line_took_never_was():
    apia = ZoneInfo("Pacific/Apia")
    assert BusinessHours(apia, [ALL_DAY] * 7).open_time(2011) == timedelta(days=365)
    only_that_friday = BusinessHours(apia, [()] * 7, dates={(2011, 12, 30): ALL_DAY})
    assert only_that_friday.open_time(2011) == timedelta()


def test_where_nothing_ever_opens_the_wall_clock_counts():
    moment = utc("2026-11-23T10:00")
    assert BusinessHours(SEOUL, [()] * 7).due(moment, HOUR) == moment + HOUR


def test_always_is_the_wall_clock():
    moment = utc("2026-11-23T10:00")
    assert (ALWAYS.open_at(moment), ALWAYS.due(moment, HOUR)) == (True, moment + HOUR)


def test_a_prepared_calendar_says_the_same():
    prepared, moment = BusinessHours(BERLIN, OFFICE), utc("2026-11-23T10:00")
    prepared.prepare(moment)
    assert prepared.due(moment, 9 * HOUR) == BusinessHours(BERLIN, OFFICE).due(moment, 9 * HOUR)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("09:00-18:00", (540, 1080)),
        ("00:00-24:00", (0, 1440)),
        ("22:00-06:00", (1320, 1800)),
        ("18:00-00:00", (1080, 1440)),
    ],
)
def test_hours_are_minutes_of_the_day_they_begin_on(text, minutes):
    assert span(text) == minutes


@pytest.mark.parametrize(
    "text", ["9-18", "09:00-09:00", "24:00-01:00", "09:00-24:01", "09:60-10:00", "09:00–18:00", "", "٠٩:00-18:00"]
)
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValueError, match="opening hours such as"):
        span(text)


def test_hours_of_a_day_must_not_overlap():
    assert spans(["13:00-18:00", "09:00-13:00"]) == ((540, 780), (780, 1080))
    with pytest.raises(ValueError, match="overlap"):
        spans(["09:00-13:00", "12:00-18:00"])


def test_days_may_run_over_the_weekend():
    assert weekdays("mon-fri") == (0, 1, 2, 3, 4)
    assert weekdays("sun-thu") == (6, 0, 1, 2, 3)
    assert weekdays("sat") == (5,)


def test_a_date_is_of_one_year_or_of_every_year():
    assert year_and_day("2026-12-24") == (2026, 12, 24)
    assert year_and_day("02-29") == (None, 2, 29)
    for wrong in ("2026-02-29", "12-32", "1224", "20261224", "2026-W01-1", "christmas"):
        with pytest.raises(ValueError, match="must be a date such as"):
            year_and_day(wrong)
