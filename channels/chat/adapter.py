"""The Events API of Slack: one address for every event."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp.web import Request, Response, RouteDef, route

from channels.api import Host, Receipt, Refusal
from channels.chat.settings import ChatSettings
from channels.chat.signatures import SIGNATURE, TIMESTAMP, WINDOW, is_fresh, is_signed
from channels.in_hand import InHand
from channels.posts import read_post
from channels.problems import RETRY_AFTER, problem
from normalizers.chat import SlackPayload

if TYPE_CHECKING:
    from channels.chat.bolt import BoltIngress

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class ChatAdapter:
    """One inbox; Slack gives an app up whose answers are seldom 200, so most of what is wrong is still 200."""

    def __init__(
        self, settings: ChatSettings, host: Host[SlackPayload], *, now: Callable[[], float] = time.time
    ) -> None:
        self._host = host
        self._secrets = settings.signing_secrets
        self._max_body = settings.max_body
        self._now = now
        self._in_hand = InHand()
        self._bolt: BoltIngress | None = None

    def routes(self) -> Sequence[RouteDef]:
        """The Request URL of the app's event subscriptions."""
        return (route("POST", "/events", self._event),)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Takes events while entered; imports Slack's SDK, which is 0.3 s of work."""
        from channels.chat.bolt import BoltIngress

        self._bolt = BoltIngress(self._take)
        async with self._in_hand.opened():
            yield

    async def _event(self, request: Request) -> Response:
        body = await read_post(request, self._max_body)
        if isinstance(body, Response):
            return body
        if body is None:
            self._host.refused(Refusal.OVERSIZED, "body over max_body")
            headers = {"X-Slack-No-Retry": "1"}
            return problem(413, f"The body may have at most {self._max_body} bytes.", headers=headers)
        if not is_fresh(request.headers, self._now):
            return self._forged("time stamp", f"{TIMESTAMP} is missing or over {WINDOW} seconds from now.")
        if not is_signed(request.headers, body, self._secrets):
            return self._forged("signature of no signing secret", f"{SIGNATURE} is missing or does not fit the body.")
        if request.content_type in _FORMS:
            # Buttons, slash commands and the like, pointed at the wrong address.
            self._host.refused(Refusal.UNSUPPORTED, "form where events are expected")
            return Response()
        if self._bolt is None or not self._in_hand.is_open:
            return problem(503, "The gateway is closing: send it again.", headers=RETRY_AFTER)
        # aiohttp leaves a handler alone when its client hangs up (handler_cancellation is off): no task, no shield.
        with self._in_hand:
            return await self._bolt.answer(body)

    async def _take(self, body: bytes) -> Receipt:
        return await self._host.intake(SlackPayload(body=body))

    def _forged(self, what: str, detail: str) -> Response:
        self._host.refused(Refusal.FORGED, what)
        return problem(401, detail)
