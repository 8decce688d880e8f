"""The sections of the configuration that say what is tagged and how soon a reply is due."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from channels.units import Form
from gateway.settings.calendars import Calendar
from gateway.settings.sections import Below, Positive, Section, Text
from gateway.settings.values import MANY, checked

_OWN_TAGS = ("channel_", "medium_", "tier_", "brand_", "inbox_")
_LONGEST_REGEX = 1000
_LONGEST_TARGET = timedelta(days=366)


def _regex(expression: str) -> None:
    from gateway.tagging.conditions import regex

    regex(expression)


def _not_our_own(tag: str) -> None:
    if tag.startswith(_OWN_TAGS):
        raise ValueError(f"must not begin with {', '.join(_OWN_TAGS)}: those tags the gateway gives itself")


def _within_a_year(target: timedelta) -> timedelta:
    if target > _LONGEST_TARGET:
        raise ValueError(f"must be at most {_LONGEST_TARGET.days} days")
    return target


Tag = Annotated[str, Form(r"[a-z0-9_]{1,60}", "a-z, 0-9 and _, at most 60"), checked(_not_our_own)]
Language = Annotated[str, Form(r"[a-z*?]{1,3}(-[A-Za-z0-9*?]{1,8})?", "a language such as ko, en or und")]
Regex = Annotated[Text, Field(max_length=_LONGEST_REGEX), checked(_regex)]
Target = Annotated[Positive, AfterValidator(_within_a_year)]
Globs = Annotated[tuple[Text, ...], *MANY]
"""One pattern or several, of which one must fit; `*` stands for anything."""
Languages = Annotated[tuple[Language, ...], *MANY]
Regexes = Annotated[tuple[Regex, ...], *MANY]


class Which(Section):
    """Which messages a policy is for: all that is named must fit; nothing named fits every message."""

    channel: Globs | None = None
    medium: Globs | None = None
    inbox: Globs | None = None
    brand: Globs | None = None
    tier: Globs | None = None


class Raised(Section):
    """Which flags a message must have (true) or must not have (false)."""

    auto_reply: bool | None = None
    bounce: bool | None = None
    list: bool | None = None
    loop: bool | None = None
    spam: bool | None = None

    @model_validator(mode="after")
    def _names_one(self) -> "Raised":
        if not self.model_dump(exclude_none=True):
            raise ValueError("must name a flag: auto_reply, bounce, list, loop or spam")
        return self


class When(Which):
    """Which messages a rule is for, by what was said and when as well."""

    language: Languages | None = None
    to: Globs | None = None
    sender: Annotated[Globs | None, Field(alias="from")] = None
    """Any address of who asks, or of who typed it."""
    subject: Globs | None = None
    subject_contains: Globs | None = None
    """Plain words, of which one must stand somewhere; letter case does not count."""
    subject_regex: Regexes | None = None
    """Regular expressions of RE2, of which one must be found; letter case does not count."""
    text_contains: Globs | None = None
    text_regex: Regexes | None = None
    flags: Raised | None = None
    open: Text | None = None
    """A calendar that is open when the message comes."""
    closed: Text | None = None
    """A calendar that is closed when the message comes."""


class Then(Section):
    """What a rule adds."""

    tags: tuple[Tag, ...] = ()
    priority: Literal["low", "normal", "high", "urgent"] | None = None
    """The last rule that fits has the say, of the brand too."""
    brand: Annotated[str, Form(r"[a-z0-9_]{1,40}", "a-z, 0-9 and _, at most 40")] | None = None
    """In place of the inbox's own."""

    @model_validator(mode="after")
    def _adds_something(self) -> "Then":
        if not self.tags and self.priority is None and self.brand is None:
            raise ValueError("must add tags, a priority or a brand")
        return self


class Rule(Section):
    """First to last, each rule that fits adds."""

    when: When = When()
    then: Then


class Policy(Section):
    """How soon an answer is due; the first policy that fits wins."""

    name: Text | None = None
    when: Which = Which()
    first_reply: Target | None = None
    callback: Target | None = None
    calendar: Text

    @model_validator(mode="after")
    def _has_a_target(self) -> "Policy":
        if self.first_reply is None and self.callback is None:
            raise ValueError("must set first_reply, callback or both")
        return self


class Sla(Section):
    """Promises, and the clocks they are counted on."""

    calendars: Mapping[Text, Calendar] = {}
    policies: tuple[Policy, ...] = ()

    @field_validator("policies")
    @classmethod
    def _calendars_exist(cls, policies: tuple[Policy, ...], info: ValidationInfo) -> tuple[Policy, ...]:
        calendars = info.data.get("calendars")
        if calendars is not None:
            for number, policy in enumerate(policies):
                if policy.calendar not in calendars:
                    known = ", ".join(calendars) or "none"
                    raise Below(f"is not a calendar; sla.calendars has {known}", number, "calendar")
        return policies
