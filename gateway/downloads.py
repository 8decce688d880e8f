"""What the object store keeps, for readers who have no way to the store itself."""

import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from hashlib import sha256
from typing import Final, cast
from urllib.parse import quote

import structlog
from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from channels.problems import RETRY_AFTER, problem
from channels.verify import matches
from gateway.objects import Kind, NoSuchObject, Objects, ObjectsUnavailable
from normalizers.filenames import clean_filename

_PATH: Final = "/objects/{kind:attachments|raw}/{digest:[0-9a-f]{64}}"
_BEARER = re.compile(r"bearer +([!-~]{1,500})", re.IGNORECASE)
# What a stranger sent may be a page: no browser is to show it, run it, keep it or hand it to another site.
_HEADERS: Final = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Content-Type": "application/octet-stream",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
log = structlog.get_logger()


def routes(objects: Objects, readers: Mapping[str, str]) -> Sequence[web.RouteDef]:
    """`readers`: the SHA-256 of each one's bearer token, by name. Without any there is no such address."""
    return (web.get(_PATH, _Downloads(objects, readers).download),) if readers else ()


class _Downloads:
    def __init__(self, objects: Objects, readers: Mapping[str, str]) -> None:
        self._objects, self._readers = objects, readers

    async def download(self, request: web.Request) -> web.StreamResponse:
        reader = self._reader(request)
        if reader is None:
            log.warning("object.refused")
            return problem(401, "A bearer token that is known here is needed.", headers={"WWW-Authenticate": "Bearer"})
        kind, digest = cast("Kind", request.match_info["kind"]), request.match_info["digest"]
        try:
            found = await self._objects.find(kind, digest)
        except NoSuchObject:
            return problem(404, "There is no such object.")
        except ObjectsUnavailable:
            return problem(503, "The object store does not give anything now.", headers=RETRY_AFTER)
        span = _span(request, found.size)
        if span is None:
            return problem(416, "It has no such bytes.", headers={"Content-Range": f"bytes */{found.size}"})
        log.info("object.read", reader=reader, kind=kind, sha256=digest)
        return await self._send(request, found.uri, found.size, *span)

    async def _send(self, request: web.Request, uri: str, size: int, start: int, end: int) -> web.StreamResponse:
        part = (start, end) != (0, size)
        answer = web.StreamResponse(status=206 if part else 200, headers=_HEADERS)
        answer.headers["Content-Disposition"] = disposition(request.query.get("name", ""))
        if part:
            answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        answer.content_length = end - start
        await answer.prepare(request)
        if request.method == "HEAD" or start == end:
            return answer
        try:
            async with aclosing(self._objects.stream(uri, start, end)) as pieces:
                async for piece in pieces:
                    await answer.write(piece)
        except ObjectsUnavailable:
            log.warning("object.broken_off")
            if request.transport is not None:
                request.transport.abort()  # a shorter body must not pass for all of it
        return answer

    def _reader(self, request: web.Request) -> str | None:
        given = _BEARER.fullmatch(request.headers.get(AUTHORIZATION, ""))
        if given is None:
            return None
        digest = sha256(given[1].encode()).hexdigest()
        # All of them every time: how long it takes says nothing about which one it is.
        found = [name for name, expected in self._readers.items() if matches(digest, (expected,))]
        return found[0] if found else None


def disposition(name: str) -> str:
    """Content-Disposition for a name a stranger chose (RFC 6266): it is saved, never shown."""
    clean = clean_filename(name) or "download"
    plain = re.sub(r"[^ !#-$&+\-.0-9A-Z^_`a-z{}~]", "_", clean)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}"


def _span(request: web.Request, size: int) -> tuple[int, int] | None:
    """The bytes asked for, from the first up to and without the last; None where there are none such.

    What is no range of bytes, or more than one, asks for everything (RFC 9110 section 14.2).
    """
    try:
        asked = request.http_range
    except ValueError:
        return 0, size
    start, end = asked.start, asked.stop
    if start is None:
        return 0, size
    if start < 0:
        start, end = max(size + start, 0), size
    end = size if end is None else min(end, size)
    return (start, end) if start < end else None
