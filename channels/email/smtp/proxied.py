"""Who the client is, by the word of a load balancer in front: the PROXY protocol, versions 1 and 2."""

import asyncio
import logging
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from aiosmtpd.proxy_protocol import AF, PROTO, V2_CMD, ProxyData, get_proxy

HEADER_TIMEOUT: Final = 5.0
"""Seconds for the header, which is the first thing a load balancer sends."""

# It logs what is wrong with each header at WARNING; who sent none is turned away and counted here.
logging.getLogger("mail.debug").setLevel(logging.ERROR)


class NoClient(Exception):
    """No header, or none that can be believed."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        """Whether nothing came at all: a load balancer that looks whether we are up."""


class Balancers:
    """The peers that speak for others."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ip_network(network) for network in networks]

    def has(self, peer: str) -> bool:
        """Whether this peer is one; an address as `plain` gives it."""
        if not self._networks:
            return False
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


@lru_cache(maxsize=4096)
def plain(host: str) -> str:
    """An IP address without its scope, IPv4 as IPv4; empty where it is none."""
    try:
        address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


async def read_client(reader: asyncio.StreamReader) -> str | None:
    """The client's address as `plain` gives it; None where the balancer speaks for itself. Raises `NoClient`."""
    try:
        async with asyncio.timeout(HEADER_TIMEOUT):
            data = await get_proxy(reader)
    except asyncio.IncompleteReadError as error:
        raise NoClient(silent=not error.partial) from None
    except TimeoutError:
        raise NoClient(silent=False) from None
    if not data.valid:
        raise NoClient(silent=False)
    if data.command == V2_CMD.LOCAL or data.family == AF.UNSPEC:
        return None
    return _address(data)


def _address(data: ProxyData) -> str:
    if data.protocol != PROTO.STREAM or data.family not in (AF.INET, AF.INET6):
        raise NoClient(silent=False)
    return plain(str(data.src_addr))
