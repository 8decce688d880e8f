"""Access tokens for logins by OAuth 2: as configured, from a command, or from the provider (RFC 6749)."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import aiohttp
import msgspec

from channels.email.imap.settings import OAuth2Settings
from channels.email.imap.troubles import LinkDown, LoginRefused

MARGIN: Final = 60.0
"""Seconds before its end from which a token is not used any more."""
SHORTEST: Final = 300.0
"""Seconds a token is taken to be good for where nobody says."""
LONGEST_ANSWER: Final = 64 * 1024

_COMMAND, _ADDRESS = "no token from the command", "no token from the token address"


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: float | None = None
    refresh_token: str | None = None


class Tokens:
    """The tokens of one inbox. `timeout` in seconds."""

    def __init__(self, settings: OAuth2Settings, timeout: float) -> None:
        self._settings, self._timeout = settings, timeout
        refresh = settings.refresh_token
        self._refresh = refresh.get_secret_value() if refresh else None
        self._token: str | None = None
        self._ends = 0.0

    async def get(self) -> str:
        """One that is good for a minute yet. Raises LoginRefused, LinkDown."""
        if self._token is None or time.monotonic() > self._ends:
            self._token = None
            self._token, good_for = await self._new()
            self._ends = time.monotonic() + good_for - MARGIN
        return self._token

    def forget(self) -> bool:
        """The server refuses it: ask for another next time. Whether there can be another."""
        self._token = None
        return self._settings.token is None

    async def _new(self) -> tuple[str, float]:
        settings = self._settings
        if settings.token is not None:
            return settings.token.get_secret_value(), float("inf")
        if settings.token_command:
            return await self._printed(), SHORTEST
        assert settings.token_url is not None
        grant = await self._granted(settings.token_url)
        self._refresh = grant.refresh_token or self._refresh  # some providers give a new one every time
        return grant.access_token, grant.expires_in or SHORTEST

    async def _printed(self) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._settings.token_command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            raise LinkDown(_COMMAND) from None
        try:
            async with asyncio.timeout(self._timeout):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise LinkDown(_COMMAND) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        token = printed.decode("ascii", "replace").strip().partition("\n")[0].strip()
        if process.returncode or not token:
            raise LinkDown(_COMMAND)
        return token

    async def _granted(self, url: str) -> _Grant:
        limits = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=limits) as session,
                session.post(url, data=self._question(), allow_redirects=False) as answer,
            ):
                status, body = answer.status, await _read(answer.content)
        except (aiohttp.ClientError, OSError, TimeoutError):
            raise LinkDown(_ADDRESS) from None
        if status in (400, 401, 403):
            raise LoginRefused
        try:
            if status != 200:
                raise LinkDown(_ADDRESS)
            return msgspec.json.decode(body, type=_Grant)
        except msgspec.DecodeError:
            raise LinkDown(_ADDRESS) from None

    def _question(self) -> Mapping[str, str]:
        settings = self._settings
        secret = settings.client_secret
        asked = {
            "grant_type": "refresh_token" if self._refresh else "client_credentials",
            "client_id": settings.client_id,
            "client_secret": secret.get_secret_value() if secret else None,
            "refresh_token": self._refresh,
            "scope": settings.scope,
        }
        return {name: value for name, value in asked.items() if value is not None}


async def _read(content: aiohttp.StreamReader) -> bytes:
    try:
        return await content.readexactly(LONGEST_ANSWER)
    except asyncio.IncompleteReadError as all_there_is:
        return all_there_is.partial
