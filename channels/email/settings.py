"""What an operator can say about an email inbox."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from channels.api import ChannelSettings, Traits
from channels.email.authentication.settings import AuthenticationSettings
from channels.units import Duration, Size

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+)):(\d{1,5})", re.ASCII)
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")


def _endpoint(listen: str) -> tuple[str, int]:
    match = _LISTEN.fullmatch(listen)
    if match is None or int(match[3]) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:2525 or [::1]:2525")
    return match[1] or match[2], int(match[3])


def _checked_listen(listen: str) -> str:
    _endpoint(listen)
    return listen


def _checked_address(address: str) -> str:
    if _ADDRESS.fullmatch(address) is None:
        raise ValueError("must be a mail address, such as support@example.com")
    return address.lower()


def _unique(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(addresses)) < len(addresses):
        raise ValueError("names an address twice")
    return addresses


MailAddress = Annotated[str, AfterValidator(_checked_address)]
PositiveDuration = Annotated[Duration, Field(gt=timedelta())]
PositiveSize = Annotated[Size, Field(gt=0)]


class EmailSettings(ChannelSettings):
    """An SMTP server for the mail of one inbox."""

    traits: ClassVar[Traits] = Traits(
        media=("smtp", "imap", "mailgun", "postmark", "sendgrid", "ses"),
        flags=("auto_reply", "bounce", "list", "loop", "spam"),
        subject=True,
    )

    type: Literal["email"]
    recipients: Annotated[tuple[MailAddress, ...], Field(min_length=1), AfterValidator(_unique)]
    """Mail for any other address is refused; `+tags` and case do not matter."""
    listen: Annotated[str, AfterValidator(_checked_listen)] = "127.0.0.1:2525"
    hostname: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$")] = (
        "mail.gateway"
    )
    """What the server calls itself; the machine's own name is never shown."""
    max_size: PositiveSize = 36_700_160
    """Of a message as it is sent: 25 MiB of attachments, in base64 with its line ends."""
    max_recipients: Annotated[int, Field(ge=1)] = 100
    max_connections: Annotated[int, Field(ge=1)] = 1000
    max_connections_per_peer: Annotated[int, Field(ge=1)] = 20
    """Of one IPv4 address or IPv6 /64; loopback is exempt."""
    max_memory: PositiveSize = 256 * 1024 * 1024
    """Of all messages being received and handed over at once; beyond it senders hear "try again later"."""
    idle_timeout: PositiveDuration = timedelta(seconds=60)
    """Between two pieces of what a client sends."""
    minimum_rate: Annotated[int, Field(ge=0)] = 500
    """Bytes a second a message must come at, on average, once `idle_timeout` is over."""
    accept_timeout: PositiveDuration = timedelta(seconds=60)
    """Until the sender hears "try again later" of a message that is still being taken in."""

    authentication: AuthenticationSettings = AuthenticationSettings()

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port of `listen`, the host without brackets."""
        return _endpoint(self.listen)

    def where(self, url: str) -> str:
        """Mail does not come by HTTP."""
        return f"smtp://{self.listen}"
