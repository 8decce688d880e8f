"""Settings of the channels that have no adapter yet, so that a file naming them can already be checked."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints

from channels.api import ChannelSettings
from channels.units import Duration, Form

Secret = Annotated[SecretStr, Field(min_length=1)]
Secrets = tuple[Secret, ...]
"""Newest first, so that they can be rotated."""
OptionalSecret = Annotated[Secret | None, BeforeValidator(lambda value: None if value == "" else value)]
"""Empty is none: `${SLACK_BOT_TOKEN:-}`."""
Name = Annotated[str, StringConstraints(min_length=1)]
BaseUrl = Annotated[str, Form(r"https?://[^\s/]+\S*", "a URL such as https://api.example.com")]
Language = Annotated[str, Form(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", "a language such as ko, en or pt-BR")]


class WebCallbackSettings(ChannelSettings):
    """A page that asks to be phoned back."""

    type: Literal["web_callback"]
    languages: Annotated[tuple[Language, ...], Field(min_length=1)] = ("en",)


class ChatSettings(ChannelSettings):
    """Slack, by the Events API or Socket Mode."""

    type: Literal["chat"]
    signing_secrets: Secrets = ()
    bot_token: OptionalSecret = None
    app_token: OptionalSecret = None
    api_base: BaseUrl = "https://slack.com/api/"
    staff_workspaces: tuple[Name, ...] = ()


class TwitterSettings(ChannelSettings):
    """Posts and direct messages of X, pushed or polled."""

    type: Literal["twitter"]
    consumer_secrets: Secrets = ()
    bearer_token: OptionalSecret = None
    user_token: OptionalSecret = None
    own_user_ids: tuple[Name, ...] = ()
    webhook_id: str | None = None
    api_base: BaseUrl = "https://api.x.com"
    mention_poll: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=90)
    dm_poll: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=5)


class PhoneSettings(ChannelSettings):
    """Voice, SMS, MMS and WhatsApp of Twilio."""

    type: Literal["phone"]
    account_sid: Annotated[str, Form(r"AC[0-9A-Za-z]+", "the account SID, which begins with AC")]
    auth_tokens: Secrets = ()
    shared_keys: Mapping[Name, Secret] = {}
    api_base: BaseUrl = "https://api.twilio.com"
    default_region: Annotated[str, Form(r"[A-Z]{2}", "a country such as KR")] = "KR"
    languages: Annotated[tuple[Language, ...], Field(min_length=1)] = ("en",)
    media_hosts: tuple[Name, ...] = ("api.twilio.com",)


class ApiClient(BaseModel):
    """A program that may post tickets; its token is known only by its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Form(r"[a-z][a-z0-9_-]{0,39}", "a-z, 0-9, _ and -, at most 40, a letter first")]
    token_sha256: Annotated[str, Form(r"[0-9a-fA-F]{64}", "the SHA-256 of the token, 64 hexadecimal digits")]
    scopes: Annotated[tuple[Literal["write"], ...], Field(min_length=1)] = ("write",)


class ApiSettings(ChannelSettings):
    """Tickets posted by other programs."""

    type: Literal["api"]
    clients: tuple[ApiClient, ...] = ()


class WebhookSettings(ChannelSettings):
    """A declarative adapter; its further keys are not fixed yet and not checked."""

    model_config = ConfigDict(extra="allow")

    type: Literal["webhook"]


PLANNED: Mapping[str, type[ChannelSettings]] = {
    "api": ApiSettings,
    "chat": ChatSettings,
    "phone": PhoneSettings,
    "twitter": TwitterSettings,
    "web_callback": WebCallbackSettings,
    "webhook": WebhookSettings,
}
"""A name leaves this table on the day its adapter arrives."""
