"""What an operator can say about the SMTP server of an inbox, in its own terms."""

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from channels.units import Duration

LONGEST_DELAY: Final = timedelta(minutes=1)
_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+)):(\d{1,5})", re.ASCII)

TlsMode = Literal["starttls", "required", "implicit"]
TlsVersion = Literal["TLSv1.2", "TLSv1.3"]


def endpoint(listen: str) -> tuple[str, int]:
    """Host and port, the host without brackets. Raises ValueError."""
    match = _LISTEN.fullmatch(listen)
    if match is None or int(match[3]) > 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:2525 or [::1]:2525")
    return match[1] or match[2], int(match[3])


def _checked_listen(listen: str) -> str:
    endpoint(listen)
    return listen


def _checked_network(network: str) -> str:
    try:
        return str(ip_network(network))
    except ValueError:
        raise ValueError("must be an address or a network, such as 10.0.0.5 or 10.0.0.0/8") from None


Listen = Annotated[str, AfterValidator(_checked_listen)]
Network = Annotated[str, AfterValidator(_checked_network)]
ErrorDelay = Annotated[Duration, Field(le=LONGEST_DELAY)]


class TlsSettings(BaseModel):
    """TLS of the SMTP server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: Path
    """PEM: the server's certificate, then those between it and its root. Read again when it changes."""
    key: Path
    """PEM, without a passphrase."""
    mode: TlsMode = "starttls"
    """starttls offers it, required takes no mail without it, implicit begins with it and knows nothing else."""
    minimum_version: TlsVersion = "TLSv1.2"
