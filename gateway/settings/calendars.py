"""The section of the configuration that says when people are there."""

from collections.abc import Mapping
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, field_validator, model_validator

from channels.units import Form
from gateway.settings.sections import Below, Section, Text
from gateway.settings.values import MANY, ONE_OR_MANY, checked, one_or_many
from gateway.tagging.hours import DAYS, span, spans, weekdays, year_and_day

_CLOSED = "closed"
_DAY = f"({'|'.join(DAYS)})"


def _closed_or_many(value: object) -> object:
    return () if value == _CLOSED else one_or_many(value)


def _zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("is not a time zone; write one such as Asia/Seoul or UTC") from None


def _apart(texts: tuple[str, ...]) -> tuple[str, ...]:
    spans(texts)
    return texts


def _country(name: str) -> None:
    from holidays import country_holidays  # 0.1 s, for those who have holidays

    country, _, part = name.partition("-")
    try:
        country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        raise ValueError("is no country, or part of one, whose holidays are known") from None


Days = Annotated[str, Form(rf"{_DAY}(-{_DAY})?", "a day or days such as sat or mon-fri")]
Date = Annotated[str, checked(year_and_day)]
Span = Annotated[str, checked(span)]
Spans = Annotated[tuple[Span, ...], AfterValidator(_apart), *MANY]
DaySpans = Annotated[tuple[Span, ...], AfterValidator(_apart), BeforeValidator(_closed_or_many), ONE_OR_MANY]


class Calendar(Section):
    """When people are there; without hours, always but on holidays and closed dates."""

    timezone: Annotated[Text, checked(_zone)]
    hours: Mapping[Days, Spans] | None = None
    """Several spans leave breaks between them; 22:00-06:00 is a night that belongs to the evening's day."""
    holidays: (
        Annotated[str, Form(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", "a country such as KR, US or DE-BE"), checked(_country)]
        | None
    ) = None
    """Public holidays of a country: KR, US, DE-BE."""
    dates: Mapping[Date, DaySpans] = {}
    """Days of their own, holidays or not: closed, or their hours; 2026-12-24 once, 12-24 every year."""

    @field_validator("hours")
    @classmethod
    def _each_day_once(cls, hours: Mapping[str, tuple[str, ...]] | None) -> Mapping[str, tuple[str, ...]] | None:
        met: set[int] = set()
        for days in hours or ():
            for day in weekdays(days):
                if day in met:
                    raise Below(f"{DAYS[day]} stands twice: give each day all its hours at once", days)
                met.add(day)
        return hours

    @model_validator(mode="after")
    def _opens(self) -> "Calendar":
        if self.hours is not None and not self.hours and not any(self.dates.values()):
            raise ValueError("is never open: give it hours, or leave them out for a calendar that always is")
        return self
