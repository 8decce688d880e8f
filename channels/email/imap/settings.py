"""What an operator can say about a mailbox that is fetched from."""

from datetime import date, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from channels.units import BaseUrl, Duration, Form, Name, Size
from channels.verify import OptionalSecret, Secret

IMPLICIT_PORT, PLAIN_PORT = 993, 143
LOOPBACK_NAME = "localhost"

PositiveDuration = Annotated[Duration, Field(gt=timedelta())]


_Line = Annotated[Name, Form(r"[^\x00-\x1f\x7f]+", "without control characters")]


_Host = Annotated[
    str,
    Form(
        r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?",
        "the name of a server, without scheme and port",
    ),
]


class OAuth2Settings(BaseModel):
    """Where an access token comes from: as it stands, from a command, or from the provider's token address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: OptionalSecret = None
    """Of little use but for a trial: most are good for an hour."""
    token_command: tuple[Name, ...] = ()
    """A program and its arguments, without a shell; the first line it prints is the token."""
    token_url: BaseUrl | None = None
    client_id: Name | None = None
    client_secret: OptionalSecret = None
    refresh_token: OptionalSecret = None
    """None asks for a token of the application's own (the grant `client_credentials`)."""
    scope: Name | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "OAuth2Settings":
        sources = [self.token is not None, bool(self.token_command), self.token_url is not None]
        if sum(sources) != 1:
            raise ValueError("needs one of token, token_command and token_url")
        of_the_url = (self.client_id, self.client_secret, self.refresh_token, self.scope)
        if self.token_url is None and any(value is not None for value in of_the_url):
            raise ValueError("client_id, client_secret, refresh_token and scope go with token_url")
        if self.token_url is not None and not _is_secure(self.token_url):
            raise ValueError("token_url must begin with https://: secrets go there")
        if self.token_url is not None and self.client_id is None:
            raise ValueError("token_url needs client_id")
        if self.token_url is not None and self.client_secret is None and self.refresh_token is None:
            raise ValueError("token_url needs client_secret, refresh_token or both")
        return self


class ImapSettings(BaseModel):
    """A mailbox on somebody's IMAP server; it is read, and nothing in it is changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: _Host
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """993, without `tls: implicit` 143."""
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    """`none` is for a server on this machine."""
    ca: Path | None = None
    """Certificates to trust, in place of the machine's own list."""
    user: _Line
    password: Secret | None = None
    oauth2: OAuth2Settings | None = None
    folders: Annotated[tuple[_Line, ...], Field(min_length=1)] = ("INBOX",)
    """IDLE is for the first, the others are looked at every `poll`."""
    poll: PositiveDuration = timedelta(seconds=60)
    idle: bool = True
    since: Literal["now", "all"] | date = "now"
    """Where to begin in a folder that was never looked at."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 50
    """Mails asked for at once."""
    max_size: Annotated[Size, Field(gt=0)] = 52_428_800
    """Of a mail; of a larger one a notice with its header becomes a ticket."""
    timeout: PositiveDuration = timedelta(seconds=30)
    """For every step of the connection, and for every piece of a mail."""

    @model_validator(mode="after")
    def _agrees(self) -> "ImapSettings":
        if (self.password is None) == (self.oauth2 is None):
            raise ValueError("needs either password or oauth2")
        if self.tls == "none" and not _is_here(self.host):
            raise ValueError("tls: none is for a server on this machine: the password would cross the network in clear")
        if len(set(self.folders)) < len(self.folders):
            raise ValueError("folders names one twice")
        return self

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port, the host without brackets."""
        return self.host.strip("[]"), self.port or (IMPLICIT_PORT if self.tls == "implicit" else PLAIN_PORT)


def _is_secure(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_here(parts.hostname or "")


def _is_here(host: str) -> bool:
    try:
        return host == LOOPBACK_NAME or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
