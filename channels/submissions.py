"""The front door of a form: a page to fill in, and POSTs of it from browsers and programs."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

from aiohttp.hdrs import CONTENT_TYPE
from aiohttp.web import Request, Response, RouteDef, StreamResponse, route

from channels.api import Host, Outcome, P, Receipt, Refusal
from channels.form_views import FormViews
from channels.in_hand import InHand
from channels.posts import JSON, SubmissionId, SubmissionIds, read_post, to_program
from channels.problems import problem

_FORM = "application/x-www-form-urlencoded"
_CLOSED = Receipt(outcome=Outcome.DEFERRED)

P_co = TypeVar("P_co", covariant=True)


class MakePayload(Protocol[P_co]):
    """One POST, undecoded, to the payload of a channel.

    `media_type` has no parameters; a POST is `keyed` where its sender chose the `submission_id`.
    """

    def __call__(self, *, body: bytes, media_type: str, submission_id: str, keyed: bool) -> P_co: ...


class SubmissionAdapter(Generic[P]):
    """One inbox; says each outcome as a page to browsers and as JSON to programs."""

    def __init__(self, host: Host[P], views: FormViews, make_payload: MakePayload[P], *, max_body: int) -> None:
        self._host = host
        self._intake = host.intake
        self._views, self._make_payload, self._max_body = views, make_payload, max_body
        self._in_hand = InHand()
        self._ids = SubmissionIds()

    def routes(self) -> Sequence[RouteDef]:
        """The page, its POST, and the files the page needs."""
        return (
            route("GET", "", self._page),
            route("POST", "", self._submit),
            route("GET", "/assets/{name}", self._views.serve_asset),
        )

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Takes POSTs while entered; the page itself is shown at any time."""
        return self._in_hand.opened()

    async def _page(self, request: Request) -> StreamResponse:
        return self._views.start(request)

    async def _submit(self, request: Request) -> StreamResponse:
        # Most programs write it so; parsing the header costs more than the whole decision.
        media_type = JSON if request.headers.get(CONTENT_TYPE) == JSON else request.content_type
        if media_type not in (JSON, _FORM):
            return self._unsupported(media_type)
        for_program = media_type == JSON or _asks_for_json(request)
        submission = self._ids.of(request)
        if not isinstance(submission, SubmissionId):
            return submission
        body = await read_post(request, self._max_body)
        if not isinstance(body, bytes):
            return self._too_large(request, for_program) if body is None else body
        payload = self._make_payload(
            body=body, media_type=media_type, submission_id=submission.value, keyed=submission.keyed
        )
        if self._in_hand.is_open:
            # aiohttp leaves a handler alone when its client hangs up (handler_cancellation is off): no task, no shield.
            with self._in_hand:
                receipt = await self._intake(payload)
        else:
            receipt = _CLOSED
        return to_program(receipt) if for_program else await self._to_browser(request, body, receipt)

    async def _to_browser(self, request: Request, body: bytes, receipt: Receipt) -> Response:
        if receipt.outcome is Outcome.ACCEPTED:
            return self._views.received(request, receipt, body)
        # Percent-decoding a MiB is 0.2 s of pure Python.
        typed = await asyncio.to_thread(self._views.as_typed, body)
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
        return problem(415, f"Send {JSON} or {_FORM}.{files}", headers={"Accept-Post": f"{JSON}, {_FORM}"})


def _asks_for_json(request: Request) -> bool:
    accept = request.headers.get("Accept", "")
    return JSON in accept and "text/html" not in accept
