"""Errors for programs: RFC 9457 problem documents."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

import msgspec
from aiohttp.web import Response

from normalizers.message import Problem

RETRY_AFTER = {"Retry-After": "30"}
"""Beside a 503: seconds until another try is worth it."""


class _Error(msgspec.Struct, frozen=True):
    pointer: str
    code: str
    detail: str


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: tuple[_Error, ...]


_HEADERS = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
_encode = msgspec.json.Encoder().encode


def problem(
    status: int, detail: str, *, errors: Iterable[Problem] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """`detail` is a sentence for the sender; the title is the status phrase (RFC 9457 section 4.2.1)."""
    document = _Document(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=tuple(_Error(error.pointer, error.code, error.message) for error in errors),
    )
    return Response(status=status, body=_encode(document), headers={**_HEADERS, **(headers or {})})
