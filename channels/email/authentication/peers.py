"""Whom we are talking to: a sender, or a server of our own that passes mail on."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from channels.email.authentication.settings import AuthenticationSettings

PRIVATE: Final = tuple(
    ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
"""Loopback, RFC 1918, 3927, 6598, 4193, 4291: nobody out there sends from them."""


class Peers:
    """Those one inbox trusts."""

    def __init__(self, settings: AuthenticationSettings) -> None:
        self._trusted = (*PRIVATE, *settings.networks())
        self.sender = lru_cache(maxsize=4096)(self._sender)
        """The address SPF is to be asked about; None where the peer is no sender, or nobody knows it."""

    def _sender(self, peer: str | None) -> str | None:
        address = _address(peer or "")
        if address is None or any(address in network for network in self._trusted):
            return None
        return str(address)


def _address(peer: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
