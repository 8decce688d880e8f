"""The front door of a contact form: a page to fill in, and POSTs from browsers and programs."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import count

import msgspec
from aiohttp.hdrs import CONTENT_TYPE
from aiohttp.web import Request, RequestPayloadError, Response, RouteDef, StreamResponse, route
from multidict import CIMultiDict, CIMultiDictProxy, istr

from channels.api import Host, Outcome, Receipt, Refusal
from channels.bodies import read_body
from channels.in_hand import InHand
from channels.problems import RETRY_AFTER, problem
from channels.web_form.settings import WebFormSettings
from channels.web_form.views import FormViews
from normalizers.message import Problem
from normalizers.web_form import FormPayload, as_typed

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_READ_SECONDS = 30
_DRAIN_SECONDS = 20
_LONGEST_KEY = 255
_IDEMPOTENCY_KEY = istr("Idempotency-Key")
_JSON_HEADERS = CIMultiDictProxy(CIMultiDict({"Content-Type": _JSON}))


class _Unique:
    """Ids that no other process, and no later start of this one, gives again."""

    def __init__(self) -> None:
        self._prefix, self._numbers = secrets.token_hex(16), count()

    def next(self) -> str:
        return f"{self._prefix}-{next(self._numbers)}"


class _Answer(msgspec.Struct, frozen=True):
    reference: str | None
    id: str | None
    duplicate: bool
    reply_by: datetime | None


_CLOSED = Receipt(outcome=Outcome.DEFERRED)
_NO_REFERENCE = _Answer(None, None, False, None)
_encode = msgspec.json.Encoder().encode


class WebFormAdapter:
    """One inbox; says each outcome as a page to browsers and as JSON to programs."""

    def __init__(self, settings: WebFormSettings, host: Host[FormPayload]) -> None:
        self._host = host
        self._intake = host.intake
        self._max_body = settings.max_body
        self._views = FormViews(host.inbox, settings.languages)
        self._in_hand = InHand()
        self._made = _Unique()
        self._open = False

    def routes(self) -> Sequence[RouteDef]:
        """The page, its POST, and the files the page needs."""
        return (
            route("GET", "", self._page),
            route("POST", "", self._submit),
            route("GET", "/assets/{name}", self._views.serve_asset),
        )

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Takes POSTs while entered; the page itself is shown at any time."""
        self._open = True
        try:
            yield
        finally:
            self._open = False
            await self._in_hand.drain(_DRAIN_SECONDS)

    async def _page(self, request: Request) -> StreamResponse:
        return self._views.start(request)

    async def _submit(self, request: Request) -> StreamResponse:
        # Most programs write it so; parsing the header costs more than the whole decision.
        media_type = _JSON if request.headers.get(CONTENT_TYPE) == _JSON else request.content_type
        if media_type not in (_JSON, _FORM):
            return self._unsupported(media_type)
        for_program = media_type == _JSON or _asks_for_json(request)
        key = request.headers.get(_IDEMPOTENCY_KEY)
        if key is not None and not (0 < len(key) <= _LONGEST_KEY and key.isprintable()):
            return problem(400, f"Idempotency-Key must be 1 to {_LONGEST_KEY} printable characters.")
        try:
            body = await read_body(request, self._max_body, seconds=_READ_SECONDS)
        except TimeoutError:
            return problem(408, f"The body did not arrive within {_READ_SECONDS} seconds.")
        except RequestPayloadError:
            return _undecodable(request)
        if body is None:
            return self._too_large(request, for_program)
        payload = FormPayload(
            body=body,
            media_type=media_type,
            submission_id=self._made.next() if key is None else _digest(key),
            keyed=key is not None,
        )
        if self._open:
            # aiohttp leaves a handler alone when its client hangs up (handler_cancellation is off): no task, no shield.
            with self._in_hand:
                receipt = await self._intake(payload)
        else:
            receipt = _CLOSED
        return _to_program(receipt) if for_program else await self._to_browser(request, payload, receipt)

    async def _to_browser(self, request: Request, payload: FormPayload, receipt: Receipt) -> Response:
        if receipt.outcome is Outcome.ACCEPTED:
            return self._views.received(request, receipt)
        # Percent-decoding a MiB is 0.2 s of pure Python.
        typed = await asyncio.to_thread(as_typed, payload.body)
        if receipt.outcome is Outcome.DEFERRED:
            return self._views.later(request, typed)
        return self._views.mend(request, typed, receipt.problems)

    def _too_large(self, request: Request, for_program: bool) -> Response:
        self._host.refused(Refusal.OVERSIZED, "body over max_body")
        if not for_program:
            return self._views.too_large(request)
        return problem(413, f"The body may have at most {self._max_body} bytes.")

    def _unsupported(self, media_type: str) -> Response:
        self._host.refused(Refusal.UNSUPPORTED, "media type of a form")
        files = " Files cannot be sent yet." if media_type == "multipart/form-data" else ""
        return problem(415, f"Send {_JSON} or {_FORM}.{files}", headers={"Accept-Post": f"{_JSON}, {_FORM}"})


def _to_program(receipt: Receipt) -> Response:
    if receipt.outcome is Outcome.ACCEPTED:
        answer = _NO_REFERENCE
        for first in receipt.references[:1]:
            answer = _Answer(first.reference, first.id, first.duplicate, first.reply_by)
        return Response(status=202, body=_encode(answer), headers=_JSON_HEADERS)
    if receipt.outcome is Outcome.DEFERRED:
        return problem(503, "The message could not be kept just now: send it again.", headers=RETRY_AFTER)
    return problem(422, _summary(receipt.problems), errors=receipt.problems)


def _summary(problems: Sequence[Problem]) -> str:
    return problems[0].message if len(problems) == 1 else "The message was not taken: see errors."


def _undecodable(request: Request) -> Response:
    response = problem(400, "The body does not match its Content-Encoding or Transfer-Encoding.")
    response.force_close()
    # aiohttp would read on, meet its own exception again and log it with a stack trace.
    request.content.feed_eof()
    return response


def _digest(key: str) -> str:
    return "key:" + hashlib.sha256(key.encode()).hexdigest()


def _asks_for_json(request: Request) -> bool:
    accept = request.headers.get("Accept", "")
    return _JSON in accept and "text/html" not in accept
