"""A directory of a few customers, for tests of what comes after it."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from gateway.directory.lookup import Customer, Lookup
from gateway.directory.matching import Known, answer, choose, question
from normalizers.message import Address


class KnownCustomers:
    """Keeps the rules of matching, and calls itself a file."""

    def __init__(self, rows: Iterable[tuple[Address, Customer]], *, as_of: datetime) -> None:
        self._rows, self._as_of = tuple(rows), as_of

    async def find(self, addresses: Sequence[Address], /) -> Lookup:
        """As any directory."""
        return choose(question(addresses), self._look)

    def _look(self, address: Address) -> Lookup | None:
        found = [Known(customer) for known, customer in self._rows if known == address]
        return answer(address, found, source="file", as_of=self._as_of)
