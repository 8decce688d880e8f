"""Rules, calendars and promises as the pipeline uses them: made once, at the start."""

from collections.abc import Iterator, Mapping
from typing import get_args
from zoneinfo import ZoneInfo

from gateway.settings.calendars import Calendar
from gateway.settings.file import KeyPath
from gateway.settings.policies import Rule, Sla, When
from gateway.tagging import conditions, rules, sla
from gateway.tagging.calendars import ALWAYS, BusinessHours
from gateway.tagging.calendars import Calendar as AnyCalendar
from gateway.tagging.hours import ALL_DAY, DAYS, Span, spans, weekdays, year_and_day

Calendars = Mapping[str, AnyCalendar]
Screens = Mapping[conditions.Words, conditions.Condition | None]


def calendars(section: Sla) -> Calendars:
    """By name; what never closes is the wall clock itself."""
    return {name: calendar(one) for name, one in section.calendars.items()}


def calendar(section: Calendar) -> AnyCalendar:
    """Of the holidays, each year is looked up when it is first asked for."""
    if section.hours is None and not section.holidays and not section.dates:
        return ALWAYS
    week: list[tuple[Span, ...]] = [ALL_DAY if section.hours is None else ()] * len(DAYS)
    for days, texts in (section.hours or {}).items():
        for day in weekdays(days):
            week[day] = spans(texts)
    dates = {year_and_day(date): spans(texts) for date, texts in section.dates.items()}
    zone = ZoneInfo(section.timezone)
    if section.holidays is None:
        return BusinessHours(zone, week, dates=dates)
    from holidays import country_holidays  # 0.1 s, for those who have holidays

    country, _, part = section.holidays.partition("-")
    return BusinessHours(zone, week, dates=dates, holidays=country_holidays(country, subdiv=part or None))


def promises(section: Sla, by_name: Calendars) -> tuple[sla.Promise, ...]:
    """In the order they are tried."""
    return tuple(
        sla.Promise(
            name=policy.name or f"policy-{number}",
            calendar=policy.calendar,
            conditions=tuple(policy.when.model_dump(exclude_none=True).items()),
            first_reply=policy.first_reply,
            callback=policy.callback,
            hours=by_name[policy.calendar],
        )
        for number, policy in enumerate(section.policies, 1)
    )


def compiled_rules(section: tuple[Rule, ...], by_name: Calendars) -> tuple[rules.Rule, ...]:
    """In the order they add."""
    screens = {field: conditions.screen(field, _expressions(section, field)) for field in get_args(conditions.Words)}
    return tuple(
        rules.Rule(
            conditions=tuple(condition for _, condition in _conditions(rule.when, by_name, screens)),
            tags=rule.then.tags,
            priority=rule.then.priority,
            brand=rule.then.brand,
        )
        for rule in section
    )


def asked(when: When, by_name: Calendars) -> tuple[KeyPath, ...]:
    """Which key below `when` each condition of a compiled rule is made from."""
    return tuple(key for key, _ in _conditions(when, by_name, {}))


def _expressions(section: tuple[Rule, ...], field: str) -> list[str]:
    return [expression for rule in section for expression in getattr(rule.when, f"{field}_regex") or ()]


def _conditions(when: When, by_name: Calendars, screens: Screens) -> Iterator[tuple[KeyPath, conditions.Condition]]:
    """Those that cost least first: one that does not fit spares the others."""
    for field in get_args(conditions.Name):
        if patterns := getattr(when, field):
            yield (field,), conditions.names(field, patterns)
    for flag, wanted in when.flags.model_dump(exclude_none=True).items() if when.flags else ():
        yield ("flags", flag), conditions.flag(flag, wanted)
    for key, name, is_open in (("open", when.open, True), ("closed", when.closed, False)):
        if name is not None:
            yield (key,), conditions.hours(by_name[name], is_open)
    for people in get_args(conditions.People):
        if patterns := getattr(when, people):
            yield ("from" if people == "sender" else people,), conditions.people(people, patterns)
    if when.subject:
        yield ("subject",), conditions.subject(when.subject)
    for words in get_args(conditions.Words):
        if plain := getattr(when, f"{words}_contains"):
            yield (f"{words}_contains",), conditions.contains(words, plain)
        if expressions := getattr(when, f"{words}_regex"):
            yield (f"{words}_regex",), conditions.finds(words, expressions, screen=screens.get(words))
