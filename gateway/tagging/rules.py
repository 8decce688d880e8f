"""The operator's rules: from first to last, each that fits adds. Pure."""

from collections.abc import Sequence

import msgspec

from gateway.tagging.conditions import Condition, Facts

NORMAL = "normal"
"""The priority of what no rule gives another."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """All conditions must fit; none fits every message."""

    conditions: tuple[Condition, ...] = ()
    tags: tuple[str, ...] = ()
    priority: str | None = None
    brand: str | None = None


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules make of a message; tags in the order of their rules, each once."""

    tags: tuple[str, ...]
    priority: str
    brand: str | None


def added(rules: Sequence[Rule], facts: Facts) -> Added:
    """Tags add up; of priorities and brands the last one stands, and later rules see the brand as it is by then."""
    tags: dict[str, None] = {}
    priority = NORMAL
    for rule in rules:
        for condition in rule.conditions:  # fifty times a message: a call for each rule would be a fifth of the time
            if not condition(facts):
                break
        else:
            for tag in rule.tags:
                tags[tag] = None
            priority = rule.priority or priority
            facts.brand = rule.brand or facts.brand
    return Added(tags=tuple(tags), priority=priority, brand=facts.brand or None)


def why(rules: Sequence[Rule], facts: Facts) -> tuple[int | None, ...]:
    """Of each rule the place of its first condition that does not fit, None where it adds; as `added` goes about it."""
    found = []
    for rule in rules:
        refused = _refused(rule, facts)
        if refused is None:
            facts.brand = rule.brand or facts.brand
        found.append(refused)
    return tuple(found)


def _refused(rule: Rule, facts: Facts) -> int | None:
    return next((place for place, condition in enumerate(rule.conditions) if not condition(facts)), None)
