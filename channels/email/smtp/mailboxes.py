"""Which recipients are ours, and which inbox each belongs to."""

from collections.abc import Sequence
from enum import Enum
from typing import Generic, TypeVar

POSTMASTER = "postmaster"
"""A mailbox every mail server has, with or without a domain (RFC 5321 section 4.5.1)."""
ANY = "*"
"""Once in the local part of an address: any characters, also none."""

_LONGEST_DOMAIN = 253
"""Characters; to translate a longer one takes the square of its length, and the DNS has none."""

Rank = tuple[int, int]
"""Exact before its base before a pattern before the implied postmaster; a longer pattern before a shorter."""
_POSTMASTER: Rank = (0, 0)
_PATTERN = 1
_BASE: Rank = (2, 0)
_EXACT: Rank = (3, 0)

T = TypeVar("T")


class NotOurs(Enum):
    """Why mail for an address is turned away."""

    DOMAIN = "foreign domain"
    MAILBOX = "unknown mailbox"


class Mailboxes:
    """The addresses an inbox answers to, any case, and with any `+tag` behind the local part; and its postmaster."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.home = addresses[0].rpartition("@")[2]
        """The domain of a postmaster without one."""
        self._exact: dict[str, set[str]] = {}
        self._patterns: dict[str, list[tuple[Rank, str, str]]] = {}
        for address in addresses:
            local, _, domain = canonical(address).rpartition("@")
            exact, patterns = self._exact.setdefault(domain, set()), self._patterns.setdefault(domain, [])
            if ANY in local:
                prefix, _, suffix = local.partition(ANY)
                patterns.append(((_PATTERN, len(local)), prefix, suffix))
            else:
                exact.add(local)

    def find(self, address: str) -> str | NotOurs:
        """The address as ours is spelled; a tag keeps its own spelling, for it may be a token."""
        if address.lower() == POSTMASTER:
            address = f"{POSTMASTER}@{self.home}"
        found = self.ranked(address)
        return found if isinstance(found, NotOurs) else found[1]

    def ranked(self, address: str) -> tuple[Rank, str] | NotOurs:
        """The same, and how well it fits: of several inboxes the highest rank gets the mail."""
        local, _, domain = address.rpartition("@")
        domain = _ascii(domain)
        exact = self._exact.get(domain)
        if exact is None:
            return NotOurs.DOMAIN
        whole = local.lower()
        if whole in exact:
            return _EXACT, f"{whole}@{domain}"
        base, plus, tag = local.partition("+")
        base = base.lower()
        spelled = f"{base}{plus}{tag}@{domain}"
        if plus and base in exact:
            return _BASE, spelled
        fitting = [
            rank
            for rank, prefix, suffix in self._patterns[domain]
            if any(_fits(name, prefix, suffix) for name in (whole, base))
        ]
        if fitting:
            return max(fitting), spelled
        return (_POSTMASTER, spelled) if whole == POSTMASTER else NotOurs.MAILBOX


class Sorting(Generic[T]):
    """The mailboxes of everybody at one listener."""

    def __init__(self, owners: Sequence[tuple[T, Sequence[str]]]) -> None:
        self._owners = [(owner, Mailboxes(addresses)) for owner, addresses in owners]

    def find(self, address: str) -> tuple[T, str] | NotOurs:
        """Whose it is, and the address as it is spelled there; who stands first has the postmaster they share."""
        if address.lower() == POSTMASTER:
            address = f"{POSTMASTER}@{self._owners[0][1].home}"
        found = [(owner, mailboxes.ranked(address)) for owner, mailboxes in self._owners]
        ours = [(answer[0], owner, answer[1]) for owner, answer in found if not isinstance(answer, NotOurs)]
        if not ours:
            unknown = any(answer is NotOurs.MAILBOX for _, answer in found)
            return NotOurs.MAILBOX if unknown else NotOurs.DOMAIN
        _, owner, spelled = max(ours, key=lambda one: one[0])  # the first of equals
        return owner, spelled

    def has(self, address: str) -> bool:
        """Whether mail for it comes here."""
        return not isinstance(self.find(address), NotOurs)


def canonical(address: str) -> str:
    """Lower case, its domain as the DNS has it: equal for what is one mailbox, or one pattern."""
    local, _, domain = address.rpartition("@")
    return f"{local.lower()}@{_ascii(domain)}"


def _fits(name: str, prefix: str, suffix: str) -> bool:
    return len(name) >= len(prefix) + len(suffix) and name.startswith(prefix) and name.endswith(suffix)


def _ascii(domain: str) -> str:
    domain = domain.lower().removesuffix(".")
    if domain.isascii() or len(domain) > _LONGEST_DOMAIN:
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain
