"""What a directory is built from: its sources in their order, the tiers they may give, and the limits for all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

Encoding: TypeAlias = Literal["utf-8", "cp949"]


class DirectoryError(Exception):
    """The directory cannot be used as configured; one line per fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, kw_only=True)
class TierNames:
    """The tiers of the gateway, best first, and the one of everybody nobody knows."""

    order: tuple[str, ...]
    default: str


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """A CSV or YAML file; `refresh` in seconds."""

    name: str | None = None
    path: Path
    encoding: Encoding = "utf-8"
    refresh: float = 5.0


@dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """What every source behind a network has; `timeout` in seconds bounds one question to it."""

    name: str | None = None
    timeout: float = 2.0
    tiers: Mapping[str, str] = field(default_factory=dict)
    """Its words for our tiers; our own words need no entry."""


@dataclass(frozen=True, kw_only=True)
class RedisOptions(RemoteOptions):
    """Hashes that another system keeps at `<prefix>:<kind>:<address>`."""

    url: str = field(repr=False)
    prefix: str = "customers"
    fields: Mapping[str, str] = field(default_factory=dict)
    """Its names for ours."""


@dataclass(frozen=True, kw_only=True)
class HttpOptions(RemoteOptions):
    """A REST directory; `records` and `fields` are JMESPath."""

    url: str
    """With `{value}` and, if wished, `{kind}`."""
    kinds: tuple[str, ...] = ("email", "phone")
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """Newest first."""
    exposed: bool = False
    """Whether others on the way can read what is asked."""
    header: str = "Authorization"
    scheme: str = "Bearer"
    records: str = "@"
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SalesforceOptions(RemoteOptions):
    """Contacts and accounts of a Salesforce org, asked as an integration user."""

    instance_url: str
    client_id: str
    client_secrets: tuple[str, ...] = field(repr=False)
    """Newest first."""
    api_version: str = "62.0"
    tier_field: str = "Support_Tier__c"
    customer_field: str = "Id"
    """The field of the account that is the customer id."""
    domain_field: str | None = None
    """The field of the account that holds its mail domain."""
    contact_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Kind of address to the fields of a contact that hold it."""


SourceOptions: TypeAlias = FileOptions | RedisOptions | HttpOptions | SalesforceOptions


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds, except `entries`: what is kept of each source's answers."""

    budget: float = 0.5
    fresh: float = 900.0
    stale: float = 86_400.0
    negative: float = 60.0
    entries: int = 50_000


def _nobody(*_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Who is told what happens; called from the event loop, with nothing of a customer in it."""

    on_lookup: Callable[[str, str, float], None] = _nobody
    """Source, outcome (known, unknown, ambiguous, failed) and seconds of each question that left the process."""
    on_link: Callable[[str, bool, str], None] = _nobody
    """Source, whether it is up, and why: once when it goes down, once when it is back."""
    on_reload: Callable[[str, int, Sequence[str]], None] = _nobody
    """Source, addresses and notes of a file that was read again."""
    on_refuse: Callable[[str, Sequence[str]], None] = _nobody
    """Source and faults of a file that changed and cannot be used: the last good one stays."""
