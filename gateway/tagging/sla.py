"""What was promised: the first policy that fits, counted from our own receipt of the message. Pure."""

from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import msgspec


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy may depend on."""

    channel: str
    medium: str
    inbox: str
    brand: str | None
    tier: str
    callback: bool
    """Whether a person is to be phoned."""


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """One policy: all conditions must fit, each by one of its patterns (`*` stands for anything)."""

    name: str
    calendar: str
    conditions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Pairs of a field of `Asked` and its patterns."""
    first_reply: timedelta | None = None
    callback: timedelta | None = None

    def fits(self, asked: Asked) -> bool:
        """Whether this policy is the one to apply, had no earlier one fitted."""
        if self.first_reply is None and not asked.callback:
            return False
        return all(
            any(fnmatchcase(getattr(asked, field) or "", pattern) for pattern in patterns)
            for field, patterns in self.conditions
        )


class Sla(msgspec.Struct, frozen=True, kw_only=True):
    """What was promised, and by which policy."""

    policy: str
    calendar: str
    clock_start: datetime
    first_reply_due_at: datetime | None
    callback_due_at: datetime | None
    outside_hours: bool


def promise(
    asked: Asked,
    promises: tuple[Promise, ...],
    received_at: datetime,
    window: tuple[datetime | None, datetime | None] = (None, None),
) -> Sla | None:
    """The due times by wall clock; a target for callbacks is only given where somebody asked for one.

    A callback is due from the start of the window it was asked for, and no later than its end.
    """
    for one in promises:
        if one.fits(asked):
            return Sla(
                policy=one.name,
                calendar=one.calendar,
                clock_start=received_at,
                first_reply_due_at=received_at + one.first_reply if one.first_reply is not None else None,
                callback_due_at=_callback_due(one.callback, received_at, *window) if asked.callback else None,
                outside_hours=False,
            )
    return None


def _callback_due(
    target: timedelta | None, received_at: datetime, start: datetime | None, end: datetime | None
) -> datetime | None:
    if target is None:
        return None
    due = max(received_at, start or received_at) + target
    return due if end is None else max(received_at, min(due, end))
