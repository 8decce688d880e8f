"""SPF (RFC 7208) by pyspf, which asks in the middle of its work: it is stopped there, and begins again when we know."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import spf  # type: ignore[import-untyped]

from channels.email.authentication.names import dns_name
from channels.email.authentication.resolver import Kind, Resolver, Unanswered
from normalizers.mailed import Spf, SpfResult

MOST_QUESTIONS: Final = 60
"""RFC 7208 4.6.4 allows ten terms that ask, and ten hosts for each MX; nobody needs as many."""
LARGEST_RECORD: Final = 4096

Answers = dict[tuple[str, Kind], tuple[str, ...] | None]
"""What was asked so far; None: the DNS did not say."""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who delivers, and in whose name."""

    peer: str
    domain: str
    """Of MAIL FROM, of HELO where that is empty."""
    local: str
    helo: str

    def found(self, result: SpfResult) -> Spf:
        """As the envelope tells it."""
        return Spf(result=result, domain=self.domain)


def sender(peer: str, mail_from: str, helo: str) -> Sender | None:
    """None where neither MAIL FROM nor HELO has a domain one could ask about."""
    local, _, domain = mail_from.strip("<> ").rpartition("@")
    hello = dns_name(helo) or ""
    if not local and not domain:
        local, domain = "postmaster", hello  # RFC 7208 2.4
    name = dns_name(domain)
    if name is None:
        return None
    local = local if local.isascii() and local else "postmaster"
    return Sender(peer=peer, domain=name, local=local, helo=hello)


async def check(one: Sender, resolver: Resolver, run: Callable[[Callable[[], Any]], Any]) -> Spf:
    """`run` has a thread do it. A DNS failure is a `temperror`."""
    answers: Answers = {}
    try:
        records = await resolver.ask(one.domain, "TXT")
    except Unanswered:
        return one.found("temperror")
    if not any(record[:6].lower() == "v=spf1" for record in records):
        return one.found("none")
    answers[one.domain, "TXT"] = records
    while len(answers) <= MOST_QUESTIONS:
        outcome = await run(lambda: _attempt(one, answers))
        if not isinstance(outcome, _Question):
            return one.found(outcome)
        try:
            answers[outcome.name, outcome.kind] = await resolver.ask(outcome.name, outcome.kind)
        except Unanswered:
            answers[outcome.name, outcome.kind] = None
    return one.found("permerror")


class _Question(Exception):
    def __init__(self, name: str, kind: Kind) -> None:
        self.name, self.kind = name, kind


class _Query(spf.query):  # type: ignore[misc] # untyped
    """`dns` is all of it that asks."""

    def __init__(self, one: Sender, answers: Answers) -> None:
        super().__init__(one.peer, f"{one.local}@{one.domain}", one.helo)
        self.l, self.o, self.d = one.local, one.domain, one.domain  # it divides at the first @
        self._answers = answers

    def dns(self, name: Any, qtype: Kind, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """In the library's terms; raises _Question, spf.TempError, spf.PermError."""
        name = str(name).rstrip(".").lower()
        if not all(0 < len(label) < 64 for label in name.split(".")):
            return []
        if (name, qtype) not in self._answers:
            raise _Question(name, qtype)
        records = self._answers[name, qtype]
        if records is None:
            raise spf.TempError("DNS")
        if not records and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError("too many names that are none")
        return [_converted(number, record, qtype) for number, record in enumerate(records)]

    def get_explanation(self, spec: str) -> None:
        """Of no interest to us, and a look-up that a stranger chooses."""


def _converted(number: int, record: str, kind: Kind) -> Any:
    match kind:
        case "TXT":
            if len(record) > LARGEST_RECORD and record[:6].lower() == "v=spf1":
                raise spf.PermError("a record out of all bounds")
            return (record.encode("latin-1", "replace"),)
        case "MX":
            return (number, record)
        case _:
            return record


def _attempt(one: Sender, answers: Answers) -> "SpfResult | _Question":
    try:
        result = _Query(one, answers).check()[0]
    except _Question as question:
        return question
    except Exception:  # the library meets what strangers published with AssertionError, UnicodeError and more
        return "permerror"
    return result if result in _RESULTS else "permerror"


_RESULTS: Final = frozenset({"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"})
