"""Is the gateway ready: can it keep a message, does every inbox listen."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple


class Check(NamedTuple):
    """How one thing is: whether a message can be taken, and a word or two for whoever looks."""

    well: bool
    word: str


class Health:
    """Named checks; ready when all of them are well."""

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], Awaitable[Check]]] = {}

    def add(self, name: str, check: Callable[[], Awaitable[Check]]) -> None:
        """Register a check; it must answer within a second or so."""
        self._checks[name] = check

    async def check(self) -> tuple[bool, dict[str, str]]:
        """Whether all is well, and each check's word."""
        found = {name: await check() for name, check in self._checks.items()}
        return all(check.well for check in found.values()), {name: check.word for name, check in found.items()}
