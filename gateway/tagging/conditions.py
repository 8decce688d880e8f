"""What a rule may ask of a message; each condition is made once and answers in microseconds. Pure."""

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, Literal, TypeVar

from gateway.tagging.calendars import Calendar
from normalizers.message import Message
from normalizers.text import compose

Name = Literal["channel", "medium", "inbox", "brand", "tier", "language"]
People = Literal["to", "sender"]
Words = Literal["subject", "text"]
T = TypeVar("T")

_MOST_TEXT = 65_536
"""Characters of a text that rules look at."""
_GLOB = re.compile(r"[*?\[]")
_FEWEST_SCREENED = 3
_REGEX_MEMORY = 2**20
"""Bytes one regular expression may use; beyond it RE2 is slower, never wrong."""


class _once(Generic[T]):
    """A `cached_property` without its lock, which takes as long as most answers: one thread tags a message."""

    def __init__(self, ask: Callable[[Any], T]) -> None:
        self._ask, self._name, self.__doc__ = ask, ask.__name__, ask.__doc__

    def __get__(self, facts: Any, owner: type) -> T:
        answer = facts.__dict__[self._name] = self._ask(facts)
        return answer


class Facts:
    """One message as rules see it; what few of them ask for is only worked out when it is asked for."""

    def __init__(
        self,
        message: Message,
        *,
        channel: str,
        inbox: str,
        brand: str | None,
        tier: str,
        language: str | None,
        received_at: datetime,
    ) -> None:
        self.message, self.received_at = message, received_at
        self.channel, self.medium, self.inbox, self.tier = channel, message.medium, inbox, tier
        self.brand, self.language = brand or "", language or ""
        self._answers: dict[Condition | Calendar, bool] = {}

    def open_by(self, calendar: Calendar) -> bool:
        """Whether it was received in the open hours of a calendar; each is asked once."""
        answer = self._answers.get(calendar)
        if answer is None:
            answer = self._answers[calendar] = calendar.open_at(self.received_at)
        return answer

    def fits(self, condition: "Condition") -> bool:
        """What a condition that several rules share says; it is asked once."""
        answer = self._answers.get(condition)
        if answer is None:
            answer = self._answers[condition] = condition(self)
        return answer

    @_once
    def to(self) -> tuple[str, ...]:
        """Whom it was written to."""
        return tuple([address.value.casefold() for address in self.message.recipients])

    @_once
    def sender(self) -> tuple[str, ...]:
        """Every address of who asks and of who typed it."""
        typed = self.message.submitter
        addresses = self.message.requester.addresses + (typed.addresses if typed else ())
        return tuple([address.value.casefold() for address in addresses])

    @_once
    def subject(self) -> str:
        return (self.message.subject or "").casefold()

    @_once
    def text(self) -> str:
        """Without what is quoted of earlier messages."""
        return self.message.text[:_MOST_TEXT].casefold()

    @_once
    def subject_utf8(self) -> bytes:
        return (self.message.subject or "").encode(errors="replace")

    @_once
    def text_utf8(self) -> bytes:
        return self.message.text[:_MOST_TEXT].encode(errors="replace")


Condition = Callable[[Facts], bool]


def names(field: Name, patterns: Sequence[str]) -> Condition:
    """Whether a name fits one of the patterns as a whole; letter case counts."""
    composed, name = [compose(pattern) for pattern in patterns], attrgetter(field)
    if _plain(composed):
        wanted = frozenset(composed)
        return lambda facts: name(facts) in wanted
    fits = _one_of(composed)
    return lambda facts: fits(name(facts)) is not None


def people(field: People, patterns: Sequence[str]) -> Condition:
    """Whether any address fits one of the patterns as a whole; letter case does not count."""
    fits, addresses = _one_of(_folded(patterns)), attrgetter(field)

    def condition(facts: Facts) -> bool:
        for address in addresses(facts):
            if fits(address) is not None:
                return True
        return False

    return condition


def subject(patterns: Sequence[str]) -> Condition:
    """Whether the whole subject fits one of the patterns; letter case does not count."""
    fits = _one_of(_folded(patterns))
    return lambda facts: fits(facts.subject) is not None


def contains(field: Words, words: Sequence[str]) -> Condition:
    """Whether any of the words stands anywhere in it; letter case does not count."""
    folded, text = _folded(words), attrgetter(field)

    def condition(facts: Facts) -> bool:
        where = text(facts)
        for word in folded:
            if word in where:
                return True
        return False

    return condition


def finds(field: Words, expressions: Sequence[str], *, screen: Condition | None = None) -> Condition:
    """Whether any regular expression is found in it, in linear time whatever it is. Raises ValueError.

    Where `screen` does not fit, none of them is looked for.
    """
    found, text = [regex(expression).search for expression in expressions], attrgetter(f"{field}_utf8")

    def condition(facts: Facts) -> bool:
        return (screen is None or facts.fits(screen)) and any(search(text(facts)) is not None for search in found)

    return condition


def screen(field: Words, expressions: Sequence[str]) -> Condition | None:
    """Whether any of all rules' expressions is found, looked for as one; None where that is no gain."""
    if len(expressions) < _FEWEST_SCREENED or any(r"\Q" in expression for expression in expressions):
        return None  # an open \Q would quote what stands after its expression
    try:
        return finds(field, ["|".join(f"(?:{expression})" for expression in expressions)])
    except ValueError:  # each is one that RE2 takes, but together they are too large for it
        return None


def flag(name: str, wanted: bool) -> Condition:
    """Whether a flag of the message is raised, or is not."""
    return lambda facts: bool(getattr(facts.message.flags, name)) is wanted


def hours(calendar: Calendar, is_open: bool) -> Condition:
    """Whether it was received in, or out of, the open hours of a calendar."""
    return lambda facts: facts.open_by(calendar) is is_open


def regex(expression: str) -> Any:
    """Of RE2: no backtracking, so no expression and no message can hold us up. Raises ValueError in its words.

    Letter case does not count, unless the expression says `(?-i)`.
    """
    import re2  # type: ignore[import-untyped]  # ships no types

    options = re2.Options()
    options.log_errors, options.never_capture, options.case_sensitive = False, True, False
    options.max_mem = _REGEX_MEMORY
    try:
        return re2.compile(compose(expression), options)
    except re2.error as error:
        reason = error.args[0]
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"is no regular expression of RE2: {said}") from None


def _folded(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(compose(text).casefold() for text in texts)


def _plain(patterns: Iterable[str]) -> bool:
    """Whether each of them fits itself alone."""
    return not any(_GLOB.search(pattern) for pattern in patterns)


def _one_of(patterns: Iterable[str]) -> Callable[[str], re.Match[str] | None]:
    return re.compile("|".join(fnmatch.translate(compose(pattern)) for pattern in patterns)).match
