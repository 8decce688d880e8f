"""Everything the gateway depends on, looked at once.

A check is a module of this package with `async def check(settings)`, and its name in CHECKS.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module

import msgspec

from gateway.queue.asking import advise
from gateway.queue.durability import Finding, Level
from gateway.queue.entry import QueueUnavailable
from gateway.settings import Settings

__all__ = ["CHECKS", "Diagnosis", "Finding", "Look", "checks", "examine", "failing", "ok", "warning"]

CHECKS = (
    "queue",
    "spool",
    "objects",
    "directory",
    "credentials",
    "listening",
    "mailboxes",
    "public_url",
    "tls",
    "senders",
)
"""In the order they are shown."""
WITHIN = 2.0
"""Seconds for a check; a module may say otherwise by a WITHIN of its own."""

Look = Callable[[Settings], Awaitable[Sequence[Finding]]]


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    findings: tuple[Finding, ...]
    queue_down: bool = False


def checks() -> dict[str, tuple[Look, float]]:
    """Every check, and how many seconds it has."""
    modules = {name: import_module(f"{__name__}.{name}") for name in CHECKS}
    return {name: (module.check, getattr(module, "WITHIN", WITHIN)) for name, module in modules.items()}


async def examine(settings: Settings, looks: Mapping[str, tuple[Look, float]] | None = None) -> list[Diagnosis]:
    """All checks at once; one that fails, or takes too long, keeps none of the others from its answer."""
    chosen = checks() if looks is None else looks
    return await asyncio.gather(*(_look(name, look, within, settings) for name, (look, within) in chosen.items()))


async def _look(name: str, look: Look, within: float, settings: Settings) -> Diagnosis:
    try:
        async with asyncio.timeout(within):
            return Diagnosis(check=name, findings=tuple(await look(settings)))
    except QueueUnavailable as error:
        what, remedy, _ = advise(str(error))
        return Diagnosis(check=name, findings=(failing(what, remedy),), queue_down=True)
    except TimeoutError:
        found = failing(f"no answer within {within:g} s", "find out what blocks it")
        return Diagnosis(check=name, findings=(found,), queue_down=name == "queue")
    except Exception as error:  # a check with a bug must not hide what the others found
        found = failing(f"the check itself failed ({type(error).__name__})", "report it: this is a bug of the gateway")
        return Diagnosis(check=name, findings=(found,))


def ok(what: str) -> Finding:
    """All is well."""
    return _finding("ok", what, "")


def warning(what: str, remedy: str) -> Finding:
    """It works, and somebody should know."""
    return _finding("warning", what, remedy)


def failing(what: str, remedy: str) -> Finding:
    """It does not work."""
    return _finding("failing", what, remedy)


def _finding(level: Level, what: str, remedy: str) -> Finding:
    return Finding(level=level, what=what, remedy=remedy)
