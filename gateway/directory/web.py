"""Small JSON answers over HTTP: bounded, not redirected, and every way to fail said in words fit for a log."""

import os
from collections.abc import Mapping

import aiohttp
import msgspec
from yarl import URL

from gateway.directory.breaker import PAUSE, Nonsense, Unavailable

MAX_ANSWER = 512 * 1024
_MOST_CONNECTIONS = 16
_REFUSED = (401, 403)
_BUSY = (429, 503)
_THIS_QUESTION = (400, 414, 422)
"""A value that the source does not like; other questions may fare better."""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer; `body` is None where it is not JSON."""

    status: int
    body: object
    retry_after: float | None


def session() -> aiohttp.ClientSession:
    """One for all sources of a gateway: no cookies, no proxies of the environment, nothing that decompresses."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit_per_host=_MOST_CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),  # who asks has a time limit for the question as a whole
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "omnichannel-gateway"},
    )


async def fetch(
    http: aiohttp.ClientSession,
    url: URL,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> Answer:
    """GET, or POST of a form. Raises Unavailable where there is no whole answer."""
    method = "GET" if form is None else "POST"
    try:
        async with http.request(method, url, headers=headers, data=form, allow_redirects=False) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(MAX_ANSWER):
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise Nonsense(f"an answer of more than {MAX_ANSWER >> 10} KiB")
            return Answer(response.status, _json(bytes(body)), _seconds(response.headers.get("Retry-After", "")))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Unavailable(_words(error)) from None


def refused(answer: Answer, what: str = "") -> Unavailable:
    """What an answer that is no success means for the next questions."""
    said = f"HTTP {answer.status}{f' {what}' if what else ''}"
    if answer.status in _BUSY and answer.retry_after is not None:
        return Unavailable(f"{said}: asks to be left alone for {answer.retry_after:g} s", pause=answer.retry_after)
    if answer.status == 429:
        return Unavailable(f"{said}: too many questions", pause=PAUSE)
    if answer.status in _REFUSED:
        return Unavailable(f"{said}: refuses our credentials", pause=PAUSE)
    return Nonsense(said) if answer.status in _THIS_QUESTION else Unavailable(said)


def _json(body: bytes) -> object:
    try:
        decoded: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return decoded


def _seconds(header: str) -> float | None:
    """The delay of Retry-After (RFC 9110 section 10.2.3); its other form, a date, is taken for none."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 8 else None


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "cannot connect: its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "cannot connect: its name is not known"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno  # asyncio's own words hold the address
        return f"cannot connect: {os.strerror(number) if number else type(error.os_error).__name__}"
    return f"the connection failed: {type(error).__name__}"
