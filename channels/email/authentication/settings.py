"""What an operator can say about the checking of senders."""

from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from channels.units import Duration

DNS_PORT: Final = 53


def server_address(written: str) -> tuple[str, int]:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`; raises ValueError."""
    host, port = written, str(DNS_PORT)
    if written.startswith("[") or written.count(":") == 1:
        host, _, port = written.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("must be an address and a port, such as 192.0.2.1:53 or [2001:db8::1]:53")
    return str(ip_address(host.strip("[]"))), int(port)


def _checked(read: Callable[[str], object], wanted: str) -> Callable[[str], str]:
    def check(written: str) -> str:
        try:
            read(written)
        except ValueError:
            raise ValueError(f"must be {wanted}") from None
        return written

    return check


def _network(written: str) -> IPv4Network | IPv6Network:
    return ip_network(written, strict=False)


NameServer = Annotated[
    str, AfterValidator(_checked(server_address, "the address of a name server, such as 192.0.2.1:53"))
]
PeerNetwork = Annotated[str, AfterValidator(_checked(_network, "an address or a network, such as 192.0.2.0/24"))]


class AuthenticationSettings(BaseModel):
    """How senders are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: Literal["on", "off"] = "on"
    resolvers: tuple[NameServer, ...] = ()
    """Name servers to ask; none: those of the machine."""
    timeout: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=5)
    """For all checks of one mail together; what is not known by then is a `temperror`."""
    authserv_id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,253}$")] | None = None
    """Of the mail server in front, whose Authentication-Results are believed in place of checks of our own."""
    trusted_peers: tuple[PeerNetwork, ...] = ()
    """Servers that pass on the mail of others, beside all on private addresses: no sender, so nothing for SPF."""

    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Those of `trusted_peers`."""
        return tuple(_network(written) for written in self.trusted_peers)
