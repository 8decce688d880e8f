"""How many may be connected at once."""

from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address, ip_address


class Admission:
    """Counts connections, in all and per peer."""

    def __init__(self, *, connections: int, per_peer: int) -> None:
        self._connections = connections
        self._per_peer = per_peer
        self._peers: Counter[str] = Counter()
        self._total = 0

    def enter(self, host: str) -> bool:
        """Whether one more connection from there is welcome; if so, it must `leave`."""
        peer = party(host)
        if self._total >= self._connections or (peer and self._peers[peer] >= self._per_peer):
            return False
        self._total += 1
        if peer:
            self._peers[peer] += 1
        return True

    def leave(self, host: str) -> None:
        """One connection less from there."""
        self._total -= 1
        if peer := party(host):
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]


@lru_cache(maxsize=4096)
def party(host: str) -> str:
    """Who counts as one: an IPv4 address, an IPv6 /64; empty for loopback, where a relay speaks for many."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return "" if address.is_loopback else address.packed[:8].hex()
        address = address.ipv4_mapped
    return "" if address.is_loopback else str(address)
