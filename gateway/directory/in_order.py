"""Several sources as one directory."""

from collections.abc import Sequence

from gateway.directory.lookup import UNKNOWN, Directory, Lookup
from normalizers.message import Address


class InOrder:
    """Sources asked in order; the first that knows, or doubts, has the say."""

    def __init__(self, sources: Sequence[Directory]) -> None:
        self._sources = sources

    async def find(self, addresses: Sequence[Address], /) -> Lookup:
        """Ask one after the other."""
        for source in self._sources:
            lookup = await source.find(addresses)
            if lookup.status != "unknown":
                return lookup
        return UNKNOWN
