"""The report of the morning: what came in, by channel and tier, and what became of it. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from gateway.queue.tally import HOUR, Counts, Kept, hour_of


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Hours, rounded outwards; the last one is not over."""

    hours: tuple[datetime, ...]
    before: tuple[datetime, ...]
    """As many as are over, right before the first."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Which hours a `change` compares with which: only those that are over, with as many before them."""

    begin: datetime
    end: datetime
    before: datetime


class ChannelMix(msgspec.Struct, frozen=True, kw_only=True):
    """One channel. `share` is of all tickets, `change` is 0.1 for a tenth more than before; null is not known."""

    channel: str
    tickets: int
    share: float | None
    change: float | None
    unproven: int
    duplicates: int
    rejected: int
    refused: int
    dead_letters: int
    deferred: int


class TierMix(msgspec.Struct, frozen=True, kw_only=True):
    """One tier; the capped and the failed are in the default tier instead of another."""

    tier: str
    tickets: int
    share: float | None
    change: float | None
    unproven: int
    capped: int
    stale: int
    failed: int


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What did not become a ticket, or not at once."""

    count: int
    change: float | None
    reasons: Mapping[str, int]
    """The most frequent first; empty where none are told apart."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `stats --since --json` prints as `report`."""

    begin: datetime
    end: datetime
    counted_since: datetime | None
    """The first hour that was ever counted; null where nothing was."""
    compared: Change | None
    """Null where not all of the hours before were counted, or are kept."""
    tickets: int
    change: float | None
    channels: tuple[ChannelMix, ...]
    tiers: tuple[TierMix, ...]
    duplicates: Beside
    rejected: Beside
    refused: Beside
    dead_letters: Beside
    deferred: Beside
    spooled: Beside


def span(now: datetime, since: timedelta) -> Span:
    """The hours from `since` before now."""
    first, last = hour_of(now - since), hour_of(now)
    over = (last - first) // HOUR
    return Span(
        hours=tuple(first + number * HOUR for number in range(over + 1)),
        before=tuple(first - number * HOUR for number in range(over, 0, -1)),
    )


def report(
    kept: Kept, asked: Span, now: datetime, *, keep: timedelta, channels: Sequence[str], tiers: Sequence[str]
) -> Report:
    """The report of the hours of `asked.before` and `asked.hours`, in this order in `kept`.

    `channels` and `tiers` are told of also where nothing came in.
    """
    count = len(asked.before)
    numbers = _Numbers(kept.hours[:count], kept.hours[count:], comparable=_comparable(kept, asked, now, keep))
    tickets = numbers.of("accepted")
    compared = Change(begin=asked.hours[0], end=asked.hours[-1], before=asked.before[0]) if numbers.comparable else None
    return Report(
        begin=asked.hours[0],
        end=now,
        counted_since=kept.since,
        compared=compared,
        tickets=tickets,
        change=numbers.change("accepted"),
        channels=tuple(_channel(numbers, channel, tickets) for channel in numbers.names(1, channels)),
        tiers=tuple(_tier(numbers, tier, tickets) for tier in numbers.names(2, tiers, "accepted")),
        duplicates=_beside(numbers, "duplicate"),
        rejected=_beside(numbers, "rejected"),
        refused=_beside(numbers, "refused"),
        dead_letters=_beside(numbers, "dead"),
        deferred=_beside(numbers, "deferred"),
        spooled=_beside(numbers, "spooled"),
    )


def _comparable(kept: Kept, asked: Span, now: datetime, keep: timedelta) -> bool:
    """Whether all of the hours before were counted from beginning to end, and are still there."""
    if not asked.before or kept.since is None:
        return False
    return kept.since < asked.before[0] and now < asked.before[0] + keep + HOUR


def _channel(numbers: "_Numbers", channel: str, all_tickets: int) -> ChannelMix:
    tickets = numbers.of("accepted", channel)
    return ChannelMix(
        channel=channel,
        tickets=tickets,
        share=_share(tickets, all_tickets),
        change=numbers.change("accepted", channel),
        unproven=numbers.of("unproven", channel),
        duplicates=numbers.of("duplicate", channel),
        rejected=numbers.of("rejected", channel),
        refused=numbers.of("refused", channel),
        dead_letters=numbers.of("dead", channel),
        deferred=numbers.of("deferred", channel),
    )


def _tier(numbers: "_Numbers", tier: str, all_tickets: int) -> TierMix:
    tickets = numbers.of("accepted", None, tier)
    return TierMix(
        tier=tier,
        tickets=tickets,
        share=_share(tickets, all_tickets),
        change=numbers.change("accepted", None, tier),
        unproven=numbers.of("unproven", None, tier),
        capped=numbers.of("accepted", None, tier, "capped"),
        stale=numbers.of("accepted", None, tier, "stale"),
        failed=numbers.of("accepted", None, tier, "failed"),
    )


def _beside(numbers: "_Numbers", what: str) -> Beside:
    reasons = {reason: numbers.of(what, None, reason) for reason in numbers.names(2, (), what)}
    return Beside(
        count=numbers.of(what),
        change=numbers.change(what),
        reasons=dict(sorted(reasons.items(), key=lambda one: (-one[1], one[0]))),
    )


def _share(count: int, whole: int) -> float | None:
    return round(count / whole, 4) if whole else None


class _Numbers:
    """The counts of the span, of its hours that are over, and of as many before, asked for by their words."""

    def __init__(self, before: Sequence[Counts], hours: Sequence[Counts], *, comparable: bool) -> None:
        self._before, self._over, self._all = _sum(before), _sum(hours[:-1]), _sum(hours)
        self.comparable = comparable

    def of(self, *words: str | None) -> int:
        """The sum of the fields that begin with these words; None is any."""
        return _of(self._all, words)

    def change(self, *words: str | None) -> float | None:
        """How much it changed; None where there is nothing to compare with."""
        before = _of(self._before, words)
        if not self.comparable or not before:
            return None
        return round((_of(self._over, words) - before) / before, 4)

    def names(self, place: int, known: Sequence[str], what: str | None = None) -> list[str]:
        """The known names, and others that stand in this place of a field."""
        found = {field[place] for field in self._all if len(field) > place and what in (None, field[0])}
        return [*known, *sorted(found - {*known, ""})]


def _sum(hours: Iterable[Counts]) -> Counter[tuple[str, ...]]:
    total = Counter[tuple[str, ...]]()
    for hour in hours:
        for field, count in hour.items():
            if not field.startswith("flush|"):
                total[tuple(field.split("|"))] += count
    return total


def _of(counts: Counter[tuple[str, ...]], words: tuple[str | None, ...]) -> int:
    return sum(
        count
        for field, count in counts.items()
        if len(field) >= len(words) and all(word in (None, found) for word, found in zip(words, field, strict=False))
    )
