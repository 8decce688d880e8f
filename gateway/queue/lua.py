"""Scripts off the hot path: sent by their digest, and whole where the server does not know them yet."""

from hashlib import sha1
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError


class Lua:
    """One `.lua` file of this room, by its path; a plain EVALSHA, so that it runs on Redis 6.2 and newer."""

    def __init__(self, name: str) -> None:
        self._text = (Path(__file__).parent / name).read_text(encoding="utf-8")
        self._sha = sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Redis, keys: list[str], *arguments: str | bytes | int) -> Any:
        """The script's reply. Raises RedisError, OSError."""
        command = cast("tuple[str, ...]", (*keys, *arguments))
        try:
            return await redis.evalsha(self._sha, len(keys), *command)
        except NoScriptError:
            return await redis.eval(self._text, len(keys), *command)
