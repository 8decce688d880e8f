"""What was promised: the first policy that fits, counted from our own receipt of the message. Pure."""

from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import msgspec

from gateway.tagging.calendars import ALWAYS, Calendar


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
    hours: Calendar = ALWAYS
    """What `calendar` names: both targets are counted on it."""

    def fits(self, asked: Asked) -> bool:
        """Whether this policy is the one to apply, had no earlier one fitted."""
        return self.refused(asked) is None

    def refused(self, asked: Asked) -> str | None:
        """The first field of `asked` that keeps this policy from fitting; None where it fits."""
        if self.first_reply is None and not asked.callback:
            return "callback"
        for field, patterns in self.conditions:
            value = getattr(asked, field) or ""
            for pattern in patterns:
                if fnmatchcase(value, pattern):
                    break
            else:
                return field
        return None


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
    """The due times in open time of the policy's calendar; a callback only has one where somebody asked for it.

    A callback is due from the start of the window it was asked for, and no later than its end.
    """
    for one in promises:
        if one.fits(asked):
            return Sla(
                policy=one.name,
                calendar=one.calendar,
                clock_start=received_at,
                first_reply_due_at=one.hours.due(received_at, one.first_reply) if one.first_reply is not None else None,
                callback_due_at=_callback_due(one, received_at, *window) if asked.callback else None,
                outside_hours=not one.hours.open_at(received_at),
            )
    return None


def _callback_due(one: Promise, received_at: datetime, start: datetime | None, end: datetime | None) -> datetime | None:
    if one.callback is None:
        return None
    due = one.hours.due(max(received_at, start or received_at), one.callback)
    return due if end is None else max(received_at, min(due, end))
