"""A session at Salesforce by the OAuth 2.0 client credentials flow: one at a time, renewed when it is refused."""

import asyncio
import re
from collections.abc import Sequence

from aiohttp import ClientSession
from yarl import URL

from gateway.directory import web
from gateway.directory.breaker import PAUSE, Unavailable

_TOKEN_PATH = "/services/oauth2/token"
_CODE = re.compile(r"[A-Za-z_]{1,60}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,4000}")


class Login:
    """Questions that arrive together share one login; secrets are tried newest first."""

    def __init__(self, http: ClientSession, instance_url: str, client_id: str, client_secrets: Sequence[str]) -> None:
        self._http, self._url = http, URL(instance_url + _TOKEN_PATH)
        self._client_id, self._client_secrets = client_id, tuple(client_secrets)
        self._token: str | None = None
        self._lock = asyncio.Lock()

    async def get(self, url: URL) -> web.Answer:
        """GET with a session; one that is refused (401) is renewed once. Raises Unavailable."""
        token = await self._session(None)
        answer = await self._with(token, url)
        if answer.status == 401:
            answer = await self._with(await self._session(token), url)
        return answer

    async def _with(self, token: str, url: URL) -> web.Answer:
        return await web.fetch(self._http, url, headers={"Authorization": f"Bearer {token}"})

    async def _session(self, refused: str | None) -> str:
        """The session in use, or a new one where that is the one that was refused."""
        async with self._lock:
            if self._token is None or self._token == refused:
                self._token = None
                self._token = await self._log_in()
            return self._token

    async def _log_in(self) -> str:
        failure = Unavailable("no client secret")
        for secret in self._client_secrets:
            form = {"grant_type": "client_credentials", "client_id": self._client_id, "client_secret": secret}
            answer = await web.fetch(self._http, self._url, form=form)
            body = answer.body if isinstance(answer.body, dict) else {}
            token = body.get("access_token")
            if answer.status == 200 and isinstance(token, str) and _TOKEN.fullmatch(token):
                return token
            if answer.status not in (400, 401):
                raise web.refused(answer, "at login") if answer.status != 200 else Unavailable("a login without token")
            failure = Unavailable(f"login refused: {code(body.get('error'))}", pause=PAUSE)
        raise failure


def code(said: object) -> str:
    """A vendor's error code where it looks like one; never its message, which may quote the question."""
    return said if isinstance(said, str) and _CODE.fullmatch(said) else "no reason given"
