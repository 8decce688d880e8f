"""What an operator can say about the providers that post mail to an inbox."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from channels.email.webhooks.keys import checked_key
from channels.units import Duration, Form
from channels.verify import OptionalSecret, Secret


def _checked_credential(credential: SecretStr) -> SecretStr:
    user, colon, password = credential.get_secret_value().partition(":")
    if not (user and colon and len(password) >= _SHORTEST_PASSWORD):
        raise ValueError(f"must be user:password, the password of {_SHORTEST_PASSWORD} characters or more")
    return credential


_SHORTEST_PASSWORD = 12

Credential = Annotated[SecretStr, AfterValidator(_checked_credential)]
"""`user:password`, as it stands in the address the provider was given."""
PublicKey = Annotated[str, AfterValidator(checked_key)]
Topic = Annotated[
    str, Form(r"arn:aws(?:-cn|-us-gov)?:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+", "the ARN of an SNS topic")
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SendGridSettings(_Section):
    """Inbound Parse; whatever is listed here is asked for, so both where both are."""

    public_keys: tuple[PublicKey, ...] = ()
    """Of the signature verification, newest first."""
    credentials: tuple[Credential, ...] = ()
    """Newest first."""

    @model_validator(mode="after")
    def _verifies(self) -> Self:
        if not (self.public_keys or self.credentials):
            raise ValueError("needs public_keys or credentials: without either anybody could post mail")
        return self


class MailgunSettings(_Section):
    """Routes."""

    signing_keys: Annotated[tuple[Secret, ...], Field(min_length=1)]
    """The HTTP webhook signing keys, newest first."""
    window: Annotated[Duration, Field(gt=timedelta())] = timedelta(hours=12)
    """How far the time stamp may be from now, either way; Mailgun tries again for 8 hours."""


class PostmarkSettings(_Section):
    """The inbound webhook."""

    credentials: Annotated[tuple[Credential, ...], Field(min_length=1)]
    """Newest first."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """The only peers that may post; none: any that knows a credential."""


class BucketSettings(_Section):
    """Where the S3 action of a receipt rule puts what is too large for a notification."""

    region: Annotated[str, Form(r"[a-z]{2}(?:-[a-z]+)+-\d", "an AWS region such as eu-west-1")]
    bucket: Annotated[str, Form(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket")]
    access_key_id: Annotated[str, Form(r"\w{16,128}", "an access key id")]
    secret_access_key: Secret
    session_token: OptionalSecret = None
    endpoint: Annotated[str, Form(r"https?://[^\s/]+", "an address such as https://s3.example.com")] | None = None
    """Of a store that is not AWS; the bucket is the first segment of its paths."""


class SesSettings(_Section):
    """Receipt rules of Amazon SES, by SNS."""

    topics: Annotated[tuple[Topic, ...], Field(min_length=1)]
    """The only topics that are listened to; a subscription to one of them is confirmed by itself."""
    s3: BucketSettings | None = None


class WebhookSettings(_Section):
    """The providers that may post mail to this inbox; one that is not named has no address."""

    sendgrid: SendGridSettings | None = None
    mailgun: MailgunSettings | None = None
    postmark: PostmarkSettings | None = None
    ses: SesSettings | None = None

    @property
    def configured(self) -> bool:
        """Whether mail can come this way at all."""
        return any((self.sendgrid, self.mailgun, self.postmark, self.ses))
