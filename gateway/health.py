"""Is the gateway ready: can it write, does every inbox listen."""

from collections.abc import Awaitable, Callable


class Health:
    """Named checks; ready when all of them are well."""

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], Awaitable[bool]]] = {}

    def add(self, name: str, check: Callable[[], Awaitable[bool]]) -> None:
        """Register a check; it must answer within a second or so."""
        self._checks[name] = check

    async def check(self) -> tuple[bool, dict[str, str]]:
        """Whether all is well, and each check's word (`ok`, `failing`)."""
        words = {name: "ok" if await check() else "failing" for name, check in self._checks.items()}
        return all(word == "ok" for word in words.values()), words
