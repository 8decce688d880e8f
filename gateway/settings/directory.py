"""The sources of the directory: who is a customer, and of which tier."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from channels.units import Form
from gateway.directory.options import (
    Encoding,
    FileOptions,
    HttpOptions,
    RedisOptions,
    SalesforceOptions,
)
from gateway.settings.development import is_loopback
from gateway.settings.sections import Positive, Section, Text, WebUrl

Name = Annotated[str, Form(r"[a-z][a-z0-9_-]{0,39}", "a-z, 0-9, _ and -, at most 40, a letter first")]
Kind = Annotated[str, Form(r"[a-z][a-z0-9_]{0,39}", "a kind of address such as email, phone, twitter or domain")]
FieldName = Annotated[str, Form(r"[A-Za-z][A-Za-z0-9_]{0,79}", "the API name of a field, such as Plan__c")]
Secrets = Annotated[tuple[Annotated[SecretStr, Field(min_length=1)], ...], Field(min_length=1)]
_SAMPLE = "value"


def _template(url: str) -> str:
    """A URL with `{value}` behind its host. Raises ValueError without quoting it."""
    wrong = "must be a URL with {value} behind the host, such as https://crm.example.com/customers?{kind}={value}"
    try:
        parts = urlsplit(url.replace("{value}", _SAMPLE).replace("{kind}", _SAMPLE))
        host = urlsplit(url).netloc
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        raise ValueError(wrong) from None
    spaces = any(letter.isspace() for letter in url)
    if not usable or spaces or parts.fragment or parts.username or "{" in host or "{value}" not in url:
        raise ValueError(wrong)
    if "{" in f"{parts.path}{parts.query}":
        raise ValueError("knows the placeholders {value} and {kind}, and no others")
    return url


def _encrypted(url: str) -> str:
    """Secrets do not cross a network in the clear."""
    if _in_the_clear(url):
        raise ValueError("must begin with https://")
    return url


def _in_the_clear(url: str) -> bool:
    """Whether others on the way can read what is sent there."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


class NamedSource(Section):
    """What every source has."""

    name: Name | None = None
    """What the envelope and the metrics call it; its type where nothing is said."""


class FileSource(NamedSource):
    """Customers in a CSV or YAML file."""

    type: Literal["file"]
    path: Path
    encoding: Encoding = "utf-8"
    """cp949 is what Excel writes in Korean."""
    refresh: Positive = timedelta(seconds=5)
    """How often to look whether the file has changed."""

    def options(self) -> FileOptions:
        """For the directory."""
        return FileOptions(name=self.name, path=self.path, encoding=self.encoding, refresh=self.refresh.total_seconds())


class RemoteSource(NamedSource):
    """What every source that is asked over the network has."""

    timeout: Positive = timedelta(seconds=2)
    """Bounds one question; a message waits no longer than lookup.budget, and a later answer serves the next one."""
    tiers: Mapping[Text, Text] = {}
    """Its words for the tiers of tiers.order; `premium` needs no entry where it says premium, or Premium."""


class RedisSource(RemoteSource):
    """Customers in hashes of a Redis, one for each address: `<prefix>:<kind>:<address>`."""

    type: Literal["redis"]
    url: Annotated[
        str, Form(r"(rediss?|unix)://.+", "a URL that begins with redis://, rediss:// or unix://"), Field(repr=False)
    ]
    prefix: Text = "customers"
    fields: Mapping[
        Literal["customer_id", "tier", "organization", "name", "salesforce_account", "salesforce_opportunity"], Text
    ] = {}
    """What the fields of the hashes are called, where not as here."""

    def options(self) -> RedisOptions:
        """For the directory."""
        return RedisOptions(
            name=self.name, timeout=self.timeout.total_seconds(), tiers=self.tiers,
            url=self.url, prefix=self.prefix, fields={str(ours): theirs for ours, theirs in self.fields.items()},
        )  # fmt: skip


class HttpSource(RemoteSource):
    """Customers behind an HTTP interface that answers JSON, and 404 for nobody."""

    type: Literal["http"]
    url: Annotated[str, AfterValidator(_template)]
    """`{value}` becomes the address, `{kind}` email, phone …; both percent-encoded."""
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("email", "phone")
    """Which addresses to ask for; with `domain`, also the mail domain of who is not known by address."""
    tokens: tuple[Annotated[SecretStr, Field(min_length=1)], ...] = ()
    """Newest first; an older one is tried where a newer one is refused."""
    header: Annotated[str, Form(r"[A-Za-z][A-Za-z0-9-]{0,79}", "the name of a header")] = "Authorization"
    """Where the token goes."""
    scheme: Annotated[str, Form(r"[A-Za-z0-9-]{0,40}", "a word such as Bearer, or empty")] = "Bearer"
    """What stands before the token; empty for nothing."""
    records: Text = "@"
    """JMESPath to the customer, or a list of them, in the answer."""
    fields: Mapping[Literal["customer_id", "tier", "organization", "name", "related", "address"], Text] = {}
    """JMESPath to each field in a customer, where it is not called as here. `related`: a list of objects with
    system, type and id. `address`: what the customer is reached by; an answer about somebody else is then none."""

    @field_validator("tokens")
    @classmethod
    def _secret(cls, tokens: tuple[SecretStr, ...], told: ValidationInfo) -> tuple[SecretStr, ...]:
        if tokens and _in_the_clear(told.data.get("url", "")):  # absent where it is wrong itself
            raise ValueError("would cross the network in the clear: url must begin with https://")
        return tokens

    def options(self) -> HttpOptions:
        """For the directory."""
        return HttpOptions(
            name=self.name, timeout=self.timeout.total_seconds(), tiers=self.tiers,
            url=self.url, kinds=self.kinds, tokens=tuple(token.get_secret_value() for token in self.tokens),
            exposed=_in_the_clear(self.url), header=self.header, scheme=self.scheme, records=self.records,
            fields={str(ours): theirs for ours, theirs in self.fields.items()},
        )  # fmt: skip


class SalesforceSource(RemoteSource):
    """Accounts and contacts of a Salesforce org, by the OAuth client credentials of a connected app."""

    type: Literal["salesforce"]
    instance_url: Annotated[WebUrl, AfterValidator(_encrypted)]
    """The My Domain of the org."""
    client_id: Text
    client_secrets: Secrets
    """Newest first."""
    api_version: Annotated[str, Form(r"\d{2,3}\.0", "a version such as 62.0")] = "62.0"
    tier_field: FieldName = "Support_Tier__c"
    """The field of the account that says the plan."""
    customer_field: FieldName = "Id"
    """The field of the account that is the customer id."""
    domain_field: FieldName | None = None
    """The field of the account that holds its mail domain; without it nobody is found by domain."""
    contact_fields: Mapping[Kind, Annotated[tuple[FieldName, ...], Field(min_length=1)]] = {}
    """By which fields of a contact each kind of address is found: email and phone need no entry."""

    def options(self) -> SalesforceOptions:
        """For the directory."""
        return SalesforceOptions(
            name=self.name, timeout=self.timeout.total_seconds(), tiers=self.tiers,
            instance_url=self.instance_url, client_id=self.client_id,
            client_secrets=tuple(secret.get_secret_value() for secret in self.client_secrets),
            api_version=self.api_version, tier_field=self.tier_field, customer_field=self.customer_field,
            domain_field=self.domain_field, contact_fields=self.contact_fields,
        )  # fmt: skip


DirectorySource = Annotated[FileSource | RedisSource | HttpSource | SalesforceSource, Field(discriminator="type")]
