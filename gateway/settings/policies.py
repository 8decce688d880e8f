"""The sections of the configuration that say who is who, what is tagged and how soon a reply is due."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from channels.units import Form
from gateway.settings.sections import Below, Positive, Section, Text, WebUrl

_DAY = "(mon|tue|wed|thu|fri|sat|sun)"
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")

Days = Annotated[str, Form(rf"{_DAY}(-{_DAY})?", "a day or days such as sat or mon-fri")]
Tag = Annotated[str, Form(r"[a-z0-9_]{1,60}", "a-z, 0-9 and _, at most 60")]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("is not a time zone; write one such as Asia/Seoul or UTC") from None
    return name


def _span(text: str) -> str:
    match = _SPAN.fullmatch(text)
    if match is None or not match[1] + match[2] < match[3] + match[4] <= "2400":
        raise ValueError("must be opening hours such as 09:00-18:00")
    return text


_Patterns = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        ]
    }
)
Globs = Annotated[tuple[Text, ...], BeforeValidator(_one_or_many), Field(min_length=1), _Patterns]
"""One pattern or several, of which one must fit; `*` stands for anything."""
Span = Annotated[str, AfterValidator(_span)]
Spans = Annotated[tuple[Span, ...], BeforeValidator(_one_or_many), Field(min_length=1), _Patterns]


class Source(Section):
    """What every directory that is asked over the network has."""

    timeout: Positive = timedelta(milliseconds=500)


class FileSource(Section):
    """Customers in a CSV file."""

    type: Literal["file"]
    path: Path
    refresh: Positive | None = None
    """How often to look whether the file has changed."""


class RedisSource(Source):
    """Customers in hashes of a Redis."""

    type: Literal["redis"]
    url: Annotated[
        str, Form(r"(rediss?|unix)://.+", "a URL that begins with redis://, rediss:// or unix://"), Field(repr=False)
    ]
    prefix: Text = "customers"


class HttpSource(Source):
    """Customers behind an HTTP interface of your own."""

    type: Literal["http"]
    url: WebUrl
    tokens: tuple[Annotated[SecretStr, Field(min_length=1)], ...] = ()
    """Bearer tokens, newest first."""


class SalesforceSource(Source):
    """Accounts and contacts of a Salesforce org."""

    type: Literal["salesforce"]
    instance_url: WebUrl
    client_id: Text
    client_secrets: Annotated[tuple[Annotated[SecretStr, Field(min_length=1)], ...], Field(min_length=1)]
    """Newest first."""
    tier_field: Text = "Support_Tier__c"


DirectorySource = Annotated[FileSource | RedisSource | HttpSource | SalesforceSource, Field(discriminator="type")]


class Which(Section):
    """Which messages a policy is for: all that is named must fit; nothing named fits every message."""

    channel: Globs | None = None
    medium: Globs | None = None
    inbox: Globs | None = None
    brand: Globs | None = None
    tier: Globs | None = None


class When(Which):
    """Which messages a rule is for, by what was said as well."""

    language: Globs | None = None
    to: Globs | None = None
    sender: Annotated[Globs | None, Field(alias="from")] = None
    subject: Globs | None = None


class Then(Section):
    """What a rule adds."""

    tags: tuple[Tag, ...] = ()
    priority: Literal["low", "normal", "high", "urgent"] | None = None

    @model_validator(mode="after")
    def _adds_something(self) -> "Then":
        if not self.tags and self.priority is None:
            raise ValueError("must add tags, a priority or both")
        return self


class Rule(Section):
    """First to last, each rule that fits adds."""

    when: When = When()
    then: Then


class Calendar(Section):
    """When people are there; without hours, always."""

    timezone: Annotated[Text, AfterValidator(_zone)]
    hours: Mapping[Days, Spans] | None = None
    holidays: Annotated[str, Form(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", "a country such as KR, US or DE-BE")] | None = None
    """Public holidays of a country: KR, US, DE-BE."""


class Policy(Section):
    """How soon an answer is due; the first policy that fits wins."""

    name: Text | None = None
    when: Which = Which()
    first_reply: Positive | None = None
    callback: Positive | None = None
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
