"""How many may be connected, and how much of their mail is held at once."""

from collections import Counter
from ipaddress import IPv6Address, ip_address


class Admission:
    """Counts connections, in all and per peer, and the bytes of mail in memory."""

    def __init__(self, *, connections: int, per_peer: int, memory: int) -> None:
        self._connections = connections
        self._per_peer = per_peer
        self._memory = memory
        self._held = 0
        self._peers: Counter[str] = Counter()
        self._total = 0

    def enter(self, host: str) -> bool:
        """Whether one more connection from there is welcome; if so, it must `leave`."""
        peer = _peer(host)
        if self._total >= self._connections or (peer and self._peers[peer] >= self._per_peer):
            return False
        self._total += 1
        if peer:
            self._peers[peer] += 1
        return True

    def leave(self, host: str) -> None:
        """One connection less from there."""
        self._total -= 1
        if peer := _peer(host):
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    def hold(self, size: int) -> bool:
        """Whether there is room for so many bytes more; if so, they must be released."""
        if self._held + size > self._memory:
            return False
        self._held += size
        return True

    def release(self, size: int) -> None:
        """So many bytes less are held."""
        self._held -= size


def _peer(host: str) -> str:
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
