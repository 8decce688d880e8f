"""What a source said, for as long as it may be repeated."""

from typing import TypeAlias

import msgspec

from gateway.directory.lookup import UNKNOWN, Lookup, Question
from gateway.directory.options import Limits

_Kept: TypeAlias = dict[Question, tuple[float, Lookup]]


class Cache:
    """Times are seconds of one monotonic clock. Strangers are kept apart: a flood of them displaces no customer."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._customers: _Kept = {}
        self._strangers: _Kept = {}

    def __len__(self) -> int:
        return len(self._customers) + len(self._strangers)

    def fresh(self, question: Question, now: float) -> Lookup | None:
        """What need not be asked again yet."""
        if (kept := self._customers.get(question)) is not None and now - kept[0] < self._limits.fresh:
            return kept[1]
        if (kept := self._strangers.get(question)) is not None and now - kept[0] < self._limits.negative:
            return kept[1]
        return None

    def stale(self, question: Question, now: float) -> Lookup | None:
        """The last known where the source fails; what is known to be ambiguous stays so."""
        kept = self._customers.get(question)
        if kept is None or now - kept[0] >= self._limits.stale:
            return None
        lookup = kept[1]
        return msgspec.structs.replace(lookup, status="stale") if lookup.status == "known" else lookup

    def put(self, question: Question, lookup: Lookup, now: float) -> None:
        """Keep an answer instead of any older one."""
        self._customers.pop(question, None)
        self._strangers.pop(question, None)
        self._keep(self._strangers if lookup is UNKNOWN else self._customers, question, lookup, now)

    def put_failure(self, question: Question, lookup: Lookup, now: float) -> None:
        """Repeat this for as long as a stranger is one, beside what was known before."""
        self._strangers.pop(question, None)
        self._keep(self._strangers, question, lookup, now)

    def _keep(self, kept: _Kept, question: Question, lookup: Lookup, now: float) -> None:
        if len(kept) >= self._limits.entries:
            del kept[next(iter(kept))]  # the one asked for longest ago
        kept[question] = (now, lookup)
