"""By what a customer is found: an exact address before a mail domain, and never a guess between two customers."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from gateway.directory.free_mail import FREE_MAIL
from gateway.directory.lookup import UNKNOWN, Customer, Lookup, Question
from normalizers.message import Address, MessageWarning

MOST_ADDRESSES = 8
"""Of one requester; further ones are not asked for."""
_LONGEST = 254

_CONFLICT = MessageWarning("customer_conflict", "another address of the requester names another customer")


class Known(msgspec.Struct, frozen=True):
    """A customer as one source has them, and what is odd about that."""

    customer: Customer
    notes: tuple[MessageWarning, ...] = ()


def question(addresses: Sequence[Address]) -> Question:
    """The addresses in their canonical spelling, and the domains of those that no free-mail provider gave away."""
    exact, domains = [], []
    for address in addresses[:MOST_ADDRESSES]:
        if address.kind == "email":
            value = address.value.lower()
            mailbox, _, domain = value.rpartition("@")
            if mailbox and domain.isprintable() and 0 < len(domain) <= _LONGEST and domain not in FREE_MAIL:
                domains.append(Address("domain", domain))
        elif address.kind == "twitter":
            value = address.value.lower().removeprefix("@")
        else:
            value = address.value
        # A domain is what a directory holds, not an address that somebody writes from.
        if 0 < len(value) <= _LONGEST and value.isprintable() and address.kind != "domain":
            exact.append(address if value == address.value else Address(address.kind, value))
    return Question(tuple(exact), tuple(domains))


def choose(asked: Question, look: Callable[[Address], Lookup | None]) -> Lookup:
    """The first address that is known as it stands, else the first whose mail domain is."""
    chosen: Lookup | None = None
    for address in asked.exact:
        found = look(address)
        if chosen is None:
            chosen = found
        elif found is not None and _differ(chosen, found):
            return msgspec.structs.replace(chosen, notes=(*chosen.notes, _CONFLICT))
    if chosen is not None:
        return chosen
    for domain in asked.domains:
        if (found := look(domain)) is not None:
            return found
    return UNKNOWN


def answer(address: Address, found: Sequence[Known], *, source: str, as_of: datetime) -> Lookup | None:
    """What one address says: nothing, a customer, or that it names several."""
    if not found:
        return None
    if any(one.customer.customer_id != found[0].customer.customer_id for one in found):
        return Lookup(status="ambiguous", matched=address, source=source, as_of=as_of)
    customer, notes = found[0].customer, found[0].notes
    if len(found) > 1:
        related = dict.fromkeys(one for known in found for one in known.customer.related)
        customer = msgspec.structs.replace(customer, related=tuple(related))
    return Lookup(status="known", customer=customer, matched=address, source=source, as_of=as_of, notes=notes)


def _differ(one: Lookup, other: Lookup) -> bool:
    return not (one.customer and other.customer and one.customer.customer_id == other.customer.customer_id)
