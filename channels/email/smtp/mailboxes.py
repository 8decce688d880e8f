"""Which recipients are ours."""

from collections.abc import Sequence
from enum import Enum

POSTMASTER = "postmaster"
"""A mailbox every mail server has, with or without a domain (RFC 5321 section 4.5.1)."""


class NotOurs(Enum):
    """Why mail for an address is turned away."""

    DOMAIN = "foreign domain"
    MAILBOX = "unknown mailbox"


class Mailboxes:
    """The addresses an inbox answers to, any case, and with any `+tag` behind the local part; and its postmaster."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._home = addresses[0].rpartition("@")[2]
        self._local_parts: dict[str, set[str]] = {}
        for address in addresses:
            local, _, domain = address.rpartition("@")
            self._local_parts.setdefault(_ascii(domain), set()).add(local.lower())

    def find(self, address: str) -> str | NotOurs:
        """The address as ours is spelled; a tag keeps its own spelling, for it may be a token."""
        if address.lower() == POSTMASTER:
            address = f"{POSTMASTER}@{self._home}"
        local, _, domain = address.rpartition("@")
        domain = _ascii(domain)
        ours = self._local_parts.get(domain)
        if ours is None:
            return NotOurs.DOMAIN
        if local.lower() in (*ours, POSTMASTER):
            return f"{local.lower()}@{domain}"
        base, plus, tag = local.partition("+")
        if plus and base.lower() in ours:
            return f"{base.lower()}+{tag}@{domain}"
        return NotOurs.MAILBOX


def _ascii(domain: str) -> str:
    domain = domain.lower().removesuffix(".")
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain
