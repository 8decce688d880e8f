"""What the checks of all inboxes share."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from channels.email.authentication.lookups import Lookups
from channels.email.authentication.nameservers import Nameservers
from channels.email.authentication.resolver import Resolver

THREADS: Final = 4
"""They compute and never wait, so that more would only be in each other's way."""


class Means:
    """Threads, and for each set of name servers what they have said."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mail-authentication")
        self._lookups: dict[tuple[str, ...], Resolver] = {}

    def resolver(self, servers: tuple[str, ...]) -> Resolver:
        """The same for the same servers; none: those of the machine."""
        if servers not in self._lookups:
            self._lookups[servers] = Lookups(Nameservers(servers))
        return self._lookups[servers]
