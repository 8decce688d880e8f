"""What the checks ask of the DNS, whoever answers."""

from typing import Literal, Protocol

Kind = Literal["A", "AAAA", "MX", "PTR", "TXT"]


class Unanswered(Exception):
    """The DNS does not say, now: a time-out, a failing server, an answer out of all bounds."""


class Silent(Unanswered):
    """Nobody answered at all."""


class Resolver(Protocol):
    """A source of DNS records."""

    async def ask(self, name: str, kind: Kind) -> tuple[str, ...]:
        """Empty where there are none, or no such name. Raises Unanswered.

        Addresses as text; names without their last dot, those of MX by preference; the strings of a TXT record
        joined, one character for each byte.
        """
        ...
