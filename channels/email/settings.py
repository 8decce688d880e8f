"""What an operator can say about an email inbox."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from channels.api import ChannelSettings, Traits
from channels.email.authentication.settings import AuthenticationSettings
from channels.email.imap.settings import ImapSettings
from channels.email.reply_tokens import ReplyTokenSettings
from channels.email.reply_tokens import Settings as ReplyTokens
from channels.email.smtp.mailboxes import ANY, canonical
from channels.email.smtp.settings import ErrorDelay, Listen, Network, TlsSettings, endpoint
from channels.email.webhooks.settings import WebhookSettings
from channels.units import Duration, Size

_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")


class Wrong(ValueError):
    """Something wrong with the inbox as a whole, shown at the key it is mended at."""

    def __init__(self, what: str, *path: str | int) -> None:
        super().__init__(what)
        self.path = path


def _checked_address(address: str) -> str:
    if _ADDRESS.fullmatch(address) is None:
        raise ValueError("must be a mail address, such as support@example.com")
    local, _, domain = address.partition("@")
    if ANY in domain or local.count(ANY) > 1:
        raise ValueError(f"may have one {ANY}, before the @, such as support-*@example.com")
    return address.lower()


def _unique(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(map(canonical, addresses))) < len(addresses):
        raise ValueError("names an address twice")
    return addresses


MailAddress = Annotated[str, AfterValidator(_checked_address)]
PositiveDuration = Annotated[Duration, Field(gt=timedelta())]
PositiveSize = Annotated[Size, Field(gt=0)]


class EmailSettings(ChannelSettings):
    """The mail of one inbox, by one door or several."""

    traits: ClassVar[Traits] = Traits(
        media=("smtp", "imap", "mailgun", "postmark", "sendgrid", "ses"),
        flags=("auto_reply", "bounce", "list", "loop", "spam"),
        subject=True,
    )

    type: Literal["email"]
    recipients: Annotated[tuple[MailAddress, ...], Field(min_length=1), AfterValidator(_unique)]
    """Mail for any other address is refused; `+tags` and case do not matter, `*` before the @ stands for anything."""
    listen: Listen | None = "127.0.0.1:2525"
    """Where mail servers deliver; several inboxes may name the same. null is for inboxes that only fetch, or are posted
    to by a provider."""
    hostname: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$")] = (
        "mail.gateway"
    )
    """What the server calls itself; the machine's own name is never shown."""
    tls: TlsSettings | None = None
    proxy_protocol_from: tuple[Network, ...] = ()
    """Load balancers that say who the client is, by the PROXY protocol (1 or 2). They must; others must not."""
    max_size: PositiveSize = 36_700_160
    """Of a message as it is sent: 25 MiB of attachments, in base64 with its line ends."""
    max_recipients: Annotated[int, Field(ge=1)] = 100
    max_connections: Annotated[int, Field(ge=1)] = 1000
    max_connections_per_peer: Annotated[int, Field(ge=1)] = 20
    """Of one IPv4 address or IPv6 /64; loopback is exempt."""
    max_rate: Annotated[int, Field(ge=1)] | None = None
    """Messages a minute from one such peer, by each process; null is no limit."""
    error_delay: ErrorDelay = timedelta(seconds=1)
    """How long each reply waits in a session of many errors; 0 switches it off."""
    max_memory: PositiveSize = 256 * 1024 * 1024
    """Of all messages being received and handed over at once; beyond it senders hear "try again later"."""
    max_scratch: PositiveSize = 1024 * 1024 * 1024
    """The same on the scratch disk, where a message goes that is too large for memory."""
    idle_timeout: PositiveDuration = timedelta(seconds=60)
    """Between two pieces of what a client sends."""
    minimum_rate: Annotated[int, Field(ge=0)] = 500
    """Bytes a second a message must come at, on average, once `idle_timeout` is over."""
    accept_timeout: PositiveDuration = timedelta(seconds=60)
    """Until the sender hears "try again later" of a message that is still being taken in."""

    authentication: AuthenticationSettings = AuthenticationSettings()
    imap: ImapSettings | None = None
    """A mailbox to fetch from, beside the server or in its place."""
    webhooks: WebhookSettings = WebhookSettings()
    """Providers that post mail, beside the server or in its place."""
    reply_tokens: ReplyTokens = ReplyTokenSettings()

    @model_validator(mode="after")
    def _has_a_door(self) -> Self:
        if self.listen is None and self.imap is None and not self.webhooks.configured:
            words = "is null, and nothing else brings mail: give it an address, or an imap or webhooks section"
            raise Wrong(words, "listen")
        return self

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port of `listen`, the host without brackets."""
        return endpoint(self.listen) if self.listen else None

    @property
    def sample_recipient(self) -> str:
        """An address it takes mail for; without a wildcard."""
        plain = (address for address in self.recipients if ANY not in address)
        return next(plain, self.recipients[0].replace(ANY, "sample"))

    def beside(self, other: ChannelSettings) -> Sequence[tuple[tuple[str | int, ...], str]] | None:
        """Inboxes share a listener if they agree on it, as far as they say anything, and on whose each mailbox is."""
        if not isinstance(other, EmailSettings) or self.listen != other.listen:
            return None
        said = sorted(self.model_fields_set & other.model_fields_set & OF_THE_LISTENER)
        differing = [((key,), "it differs from that") for key in said if getattr(self, key) != getattr(other, key)]
        taken = set(map(canonical, other.recipients))
        claimed = [
            (("recipients", number), f"{address} is already a mailbox")
            for number, address in enumerate(self.recipients)
            if canonical(address) in taken
        ]
        return [*differing, *claimed]

    def sharing(self, others: Sequence[ChannelSettings]) -> Self:
        """With what any of them says about the listener."""
        said = {key: getattr(one, key) for one in others for key in one.model_fields_set & OF_THE_LISTENER}
        return self.model_copy(update=said)

    def unusable(self) -> tuple[str, str] | None:
        """The certificate of the SMTP server, without which it does not start."""
        from channels.email.smtp.certificate import load  # not for those who only read the settings

        try:
            if self.tls and self.listen:
                load(self.tls)
        except OSError as error:
            return "tls", str(error)
        return None

    def where(self, url: str) -> str:
        """Mail servers do not come by HTTP."""
        return f"smtp://{self.listen}" if self.listen else url


OF_THE_LISTENER: Final = frozenset(
    {
        "listen",
        "hostname",
        "tls",
        "proxy_protocol_from",
        "max_size",
        "max_recipients",
        "max_connections",
        "max_connections_per_peer",
        "max_rate",
        "error_delay",
        "max_memory",
        "max_scratch",
        "idle_timeout",
        "minimum_rate",
        "accept_timeout",
    }
)
"""Keys that inboxes with the same `listen` agree on: what one of them says is so for all."""
