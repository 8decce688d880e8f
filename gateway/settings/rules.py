"""Rules and policies that name what is not there, or ask for what can never be: mistakes, not quiet rules."""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from channels import registry
from channels.api import ChannelSettings, Traits
from channels.planned import PLANNED
from gateway.settings.compiled import calendar
from gateway.settings.file import ConfigProblem, KeyPath
from gateway.settings.patterns import meet
from gateway.settings.policies import When, Which
from gateway.tagging.calendars import BusinessHours

if TYPE_CHECKING:  # it calls us
    from gateway.settings import Settings

_SOME_YEAR = 2028
"""A leap year: a target that does not fit into it fits into none."""
_NEXT_YEAR = timedelta(days=366)


def faults(settings: "Settings", *, unknown: Collection[str | int]) -> Iterator[ConfigProblem]:
    """In no order; `unknown` are the sections that are not known, of which nothing is said."""
    yield from _Checks(settings, unknown).faults()


class _Checks:
    def __init__(self, settings: "Settings", unknown: Collection[str | int]) -> None:
        self._settings, self._unknown = settings, unknown
        self._inboxes: dict[str, ChannelSettings] = {} if "channels" in unknown else dict(settings.channels)

    def faults(self) -> Iterator[ConfigProblem]:
        if "sla" not in self._unknown:
            yield from self._never_open()
        given: set[str] = set()
        for number, rule in enumerate(self._settings.rules):
            path: KeyPath = ("rules", number, "when")
            wrong = [*self._unknown_names(rule.when, path, given), *self._calendars(rule.when, path)]
            yield from wrong or self._never(rule.when, path, given)
            given |= {rule.then.brand} if rule.then.brand else set()
        for number, policy in enumerate(self._settings.sla.policies):
            path = ("sla", "policies", number)
            wrong = [*self._unknown_names(policy.when, (*path, "when"), given)]
            alone = policy.when.inbox is None and policy.when.brand is None  # the shipped ones wait for their inbox
            here: KeyPath = (*path, "when")
            never = self._never_anywhere(policy.when, here) if alone else self._never(policy.when, here, given)
            yield from wrong or never
            if policy.calendar in self._settings.sla.calendars:
                yield from self._too_long(number, policy.calendar)

    def _unknown_names(self, when: Which, path: KeyPath, given: Collection[str]) -> Iterator[ConfigProblem]:
        """Each pattern that nothing there is fits."""
        if self._inboxes:
            types = {inbox.type for inbox in self._inboxes.values()}
            yield from self._unmatched("channel", when, path, sorted({*types, *registry.names(), *PLANNED}))
            yield from self._unmatched("inbox", when, path, list(self._inboxes))
            brands = sorted({inbox.brand for inbox in self._inboxes.values() if inbox.brand} | set(given))
            yield from self._unmatched("brand", when, path, brands)
        if "tiers" not in self._unknown:
            yield from self._unmatched("tier", when, path, self._settings.tiers.order)

    def _unmatched(self, field: str, when: Which, path: KeyPath, there: Iterable[str]) -> Iterator[ConfigProblem]:
        for number, pattern in enumerate(getattr(when, field) or ()):
            if pattern != "*" and not any(fnmatchcase(name, pattern) for name in there):
                here = (*path, field, number) if (*path, field, number) in self._settings.source else (*path, field)
                what = f"fits no {field} that can be here; there are: {', '.join(there) or 'none'}"
                yield self._settings.source.problem(here, what, "value")

    def _calendars(self, when: When, path: KeyPath) -> Iterator[ConfigProblem]:
        if "sla" in self._unknown:
            return
        known = self._settings.sla.calendars
        for field, name in (("open", when.open), ("closed", when.closed)):
            if name is None:
                continue
            if name not in known:
                what = f"is not a calendar; sla.calendars has {', '.join(known) or 'none'}"
                yield self._settings.source.problem((*path, field), what, "value")
            elif field == "closed" and not isinstance(calendar(known[name]), BusinessHours):
                yield self._settings.source.problem((*path, field), "can never match: that calendar never closes")
        if when.open is not None and when.open == when.closed:
            what = "can never match: open and closed name the same calendar"
            yield self._settings.source.problem((*path, "closed"), what)

    def _never(self, when: Which, path: KeyPath, given: Collection[str]) -> Iterator[ConfigProblem]:
        """What each part allows and the whole forbids."""
        if not self._inboxes:
            return
        fitting = [
            inbox
            for name, inbox in self._inboxes.items()
            if _fits(when.channel, inbox.type)
            and _fits(when.inbox, name)
            and any(_fits(when.brand, brand) for brand in ((inbox.brand or ""), *given))
        ]
        if not fitting:
            named = " and ".join(field for field in ("channel", "inbox", "brand") if getattr(when, field) is not None)
            yield self._settings.source.problem(path, f"can never match: no inbox has this {named}")
            return
        yield from self._cannot_be(when, path, [inbox.traits for inbox in fitting])
        if isinstance(when, When) and when.to and all(inbox.type == "email" for inbox in fitting):
            addresses = [address for inbox in fitting for address in getattr(inbox, "recipients", ())]
            wanted = [_without_tag(pattern) for pattern in when.to]
            if not any(meet(pattern, one) for pattern in wanted for one in (*addresses, *_postmasters(addresses))):
                what = f"can never match: no such inbox takes mail for it, only for {', '.join(addresses)}"
                yield self._settings.source.problem((*path, "to"), what, "value")

    def _never_anywhere(self, when: Which, path: KeyPath) -> Iterator[ConfigProblem]:
        """What forbids itself in every channel, its inbox configured or not."""
        ours = {name: registry.settings_class(name) for name in registry.BUILT_IN}
        theirs = {inbox.type: type(inbox) for inbox in self._inboxes.values()}
        fitting = [one.traits for name, one in (ours | theirs).items() if _fits(when.channel, name)]
        yield from self._cannot_be(when, path, fitting)

    def _cannot_be(self, when: Which, path: KeyPath, fitting: Iterable[Traits | None]) -> Iterator[ConfigProblem]:
        """What no message of the fitting channels is; nothing where one of them does not say what its messages are."""
        said = [traits for traits in fitting if traits is not None]
        if None in fitting or not said:
            return
        source, media = self._settings.source, sorted({medium for traits in said for medium in traits.media})
        said = [traits for traits in said if any(_fits(when.medium, medium) for medium in traits.media)]
        if not said:
            what = f"can never match: no such inbox has this medium; there are: {', '.join(media)}"
            yield source.problem((*path, "medium"), what, "value")
        elif isinstance(when, When):
            for flag, wanted in when.flags.model_dump(exclude_none=True).items() if when.flags else ():
                if wanted and not any(flag in traits.flags for traits in said):
                    yield source.problem((*path, "flags", flag), "can never match: no such inbox raises this flag")
            if not any(traits.subject for traits in said):
                for field in ("subject", "subject_contains"):
                    if getattr(when, field) and not (field == "subject" and _fits(when.subject, "")):
                        yield source.problem((*path, field), "can never match: nothing has a subject there")

    def _never_open(self) -> Iterator[ConfigProblem]:
        now = datetime.now(UTC)
        for name, section in self._settings.sla.calendars.items():
            hours = calendar(section)
            if isinstance(hours, BusinessHours) and not hours.open_between(now, now + _NEXT_YEAR):
                what = "is not open for a moment in the coming year: are its dates over?"
                yield self._settings.source.problem(("sla", "calendars", name), what)

    def _too_long(self, number: int, name: str) -> Iterator[ConfigProblem]:
        policy, source = self._settings.sla.policies[number], self._settings.source
        hours = calendar(self._settings.sla.calendars[name])
        if not isinstance(hours, BusinessHours):
            return
        most = hours.open_time(_SOME_YEAR)
        for field, target in (("first_reply", policy.first_reply), ("callback", policy.callback)):
            if target is not None and target > most:
                what = f"is more than the calendar {name} is open in a whole year"
                yield source.problem(("sla", "policies", number, field), what, "value")


def _fits(patterns: Iterable[str] | None, name: str) -> bool:
    return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)


def _postmasters(addresses: Iterable[str]) -> set[str]:
    """Of every domain: they need not be listed."""
    return {f"postmaster@{address.rpartition('@')[2]}" for address in addresses}


def _without_tag(pattern: str) -> str:
    """Mail for support+anything@ is mail for support@."""
    local, at, domain = pattern.lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
