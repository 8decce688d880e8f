"""Business time: which moments count, and when so much of it has passed. Pure; years are worked out once and kept."""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple, Protocol

from gateway.tagging.hours import Span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 10**6
_DAY = timedelta(days=1)
_MOST_YEARS = 4
"""How far ahead a due time is looked for."""
_LONGEST_REACH = 4
"""Days on either side of a year whose hours may reach into it: zones differ by a day, a night shift by another."""


class Calendar(Protocol):
    """When somebody is there; moments are aware."""

    def open_at(self, moment: datetime) -> bool: ...

    def due(self, moment: datetime, target: timedelta) -> datetime:
        """When `target` of open time has passed since `moment`; at closing time, not at the next opening."""
        ...


class Always:
    """Every hour counts."""

    def open_at(self, moment: datetime) -> bool:
        """Yes."""
        return True

    def due(self, moment: datetime, target: timedelta) -> datetime:
        """By the clock on the wall."""
        return moment + target


ALWAYS = Always()


class _Year(NamedTuple):
    """The open times of one year of UTC: apart, in order, in microseconds since 1970."""

    starts: Sequence[int]
    ends: Sequence[int]
    before: Sequence[int]
    """Open time before each start, and the year's last of all."""

    def passed(self, at: int) -> int:
        """Open time of this year before `at`."""
        index = bisect_right(self.starts, at) - 1
        return self.before[index] + min(at, self.ends[index]) - self.starts[index] if index >= 0 else 0


class BusinessHours:
    """Open whenever the clock on the wall of `zone` shows one of the day's hours.

    So an hour that clocks skip is never open, and one that they repeat is open twice. A span over midnight belongs
    to the day it begins on. `week` has seven days from Monday; `dates` (year or None for every year, month, day)
    outrank it, and `holidays` are closed where no date says otherwise.
    """

    def __init__(
        self,
        zone: tzinfo,
        week: Sequence[Sequence[Span]],
        *,
        dates: Mapping[tuple[int | None, int, int], Sequence[Span]] | None = None,
        holidays: Container[date] = (),
    ) -> None:
        self._zone, self._week, self._dates, self._holidays = zone, week, dates or {}, holidays
        self._years: dict[int, _Year] = {}

    def open_at(self, moment: datetime) -> bool:
        """Whether somebody is there."""
        year, at = self._year(moment.astimezone(UTC).year), _microseconds(moment)
        index = bisect_right(year.starts, at) - 1
        return index >= 0 and at < year.ends[index]

    def due(self, moment: datetime, target: timedelta) -> datetime:
        """By the clock on the wall where four years have not so much open time left."""
        first, at, left = moment.astimezone(UTC).year, _microseconds(moment), target // _MICROSECOND
        for number in range(first, first + _MOST_YEARS):
            year = self._year(number)
            wanted = year.passed(at) + left
            if wanted <= year.before[-1]:
                index = bisect_left(year.before, wanted) - 1
                return _EPOCH + timedelta(microseconds=year.starts[index] + wanted - year.before[index])
            left = wanted - year.before[-1]
        return moment + target

    def open_time(self, year: int) -> timedelta:
        """Of a whole year of UTC."""
        return timedelta(microseconds=self._year(year).before[-1])

    def open_between(self, begin: datetime, end: datetime) -> timedelta:
        """How much of it is open time."""
        years = [self._year(year) for year in range(begin.astimezone(UTC).year, end.astimezone(UTC).year + 1)]
        since, until = _microseconds(begin), _microseconds(end)
        return timedelta(microseconds=sum(year.passed(until) - year.passed(since) for year in years))

    def prepare(self, moment: datetime) -> None:
        """Work out this year and the next: a few milliseconds, better spent before the first message comes."""
        year = moment.astimezone(UTC).year
        self._year(year)
        self._year(year + 1)

    def _year(self, number: int) -> _Year:
        if (year := self._years.get(number)) is None:
            year = self._years[number] = _joined(sorted(self._open_times(number)))
        return year

    def _open_times(self, year: int) -> Iterator[tuple[int, int]]:
        """What is open in a year of UTC, in any order; spans of two days may overlap."""
        first, last = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        since, until = _microseconds(first), _microseconds(last)
        reigns = list(_reigns(self._zone, first, last))
        for ordinal in range(first.toordinal() - _LONGEST_REACH, last.toordinal() + _LONGEST_REACH):
            day = date.fromordinal(ordinal)
            midnight = _microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))
            for start, end in self._spans(day):
                for begins, ends, offset in reigns:
                    opens = max(midnight + start * 60 * _SECOND - offset, begins, since)
                    closes = min(midnight + end * 60 * _SECOND - offset, ends, until)
                    if opens < closes:
                        yield opens, closes

    def _spans(self, day: date) -> Sequence[Span]:
        for year in (day.year, None):
            if (found := self._dates.get((year, day.month, day.day))) is not None:
                return found
        return () if day in self._holidays else self._week[day.weekday()]


def _joined(times: Sequence[tuple[int, int]]) -> _Year:
    starts, ends = [], list[int]()
    for opens, closes in times:
        if ends and opens <= ends[-1]:
            ends[-1] = max(ends[-1], closes)
        else:
            starts.append(opens)
            ends.append(closes)
    before = [0]
    for opens, closes in zip(starts, ends, strict=True):
        before.append(before[-1] + closes - opens)
    return _Year(starts, ends, before)


def _reigns(zone: tzinfo, first: datetime, last: datetime) -> Iterator[tuple[int, int, int]]:
    """From when to when which offset from UTC holds, in microseconds; none changes twice within a day."""
    begins = first
    for earlier, later in pairwise(first + _DAY * day for day in range((last - first) // _DAY + 1)):
        if _offset(zone, earlier) != _offset(zone, later):
            change = _change(zone, earlier, later)
            yield _microseconds(begins), _microseconds(change), _offset(zone, earlier)
            begins = change
    yield _microseconds(begins), _microseconds(last), _offset(zone, last)


def _change(zone: tzinfo, earlier: datetime, later: datetime) -> datetime:
    """The second in which the offset becomes that of `later`."""
    low, high = 0, (later - earlier) // timedelta(seconds=1)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, earlier + timedelta(seconds=middle)) == _offset(zone, earlier):
            low = middle
        else:
            high = middle
    return earlier + timedelta(seconds=high)


def _offset(zone: tzinfo, moment: datetime) -> int:
    return (moment.astimezone(zone).utcoffset() or timedelta()) // _MICROSECOND


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
