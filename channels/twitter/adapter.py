"""The webhook of X: its challenge, and the events it posts."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import msgspec
from aiohttp.web import Request, Response, RouteDef, route

from channels.api import Host, Outcome, Receipt, Refusal
from channels.in_hand import InHand
from channels.posts import read_post
from channels.problems import RETRY_AFTER, problem
from channels.twitter.settings import TwitterSettings
from channels.twitter.signatures import HEADER, could_be_challenge, is_challenge, is_signed, sign
from normalizers.twitter import TwitterPayload

_JSON_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}
_CLOSED = Receipt(outcome=Outcome.DEFERRED)
_encode = msgspec.json.Encoder().encode


class _Challenge(msgspec.Struct, frozen=True):
    response_token: str


class _Answer(msgspec.Struct, frozen=True):
    """For `simulate` and for people: X reads the status only."""

    outcome: Outcome
    references: tuple[str, ...]
    duplicate: bool


class TwitterAdapter:
    """One inbox; anything but 200 makes X try again, and in the end give up on the webhook."""

    def __init__(self, settings: TwitterSettings, host: Host[TwitterPayload]) -> None:
        self._host = host
        self._secrets = settings.consumer_secrets
        self._own_user_ids = settings.own_user_ids
        self._max_body = settings.max_body
        self._in_hand = InHand()

    def routes(self) -> Sequence[RouteDef]:
        """One address for the challenge (GET) and the events (POST)."""
        return (route("GET", "/webhook", self._challenge), route("POST", "/webhook", self._event))

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Takes events while entered; the challenge is answered at any time."""
        return self._in_hand.opened()

    async def _challenge(self, request: Request) -> Response:
        token = request.query.get("crc_token", "")
        if not token:
            return problem(400, "There is no crc_token.")
        if not is_challenge(token):
            self._host.refused(Refusal.FORGED, "crc_token that could be an event")
            return problem(400, "This is not a crc_token.")
        answer = sign(self._secrets[0], token.encode("utf-8", "surrogatepass"))
        return Response(body=_encode(_Challenge(answer)), headers=_JSON_HEADERS)

    async def _event(self, request: Request) -> Response:
        body = await read_post(request, self._max_body)
        if isinstance(body, Response):
            return body
        if body is None:
            self._host.refused(Refusal.OVERSIZED, "body over max_body")
            return problem(413, f"The body may have at most {self._max_body} bytes.")
        if not is_signed(request.headers.get(HEADER, ""), body, self._secrets):
            self._host.refused(Refusal.FORGED, "signature of no consumer secret")
            return problem(403, f"{HEADER} is missing or does not fit the body.")
        if could_be_challenge(body):
            self._host.refused(Refusal.FORGED, "body that the challenge would have signed")
            return problem(403, "This is not an event.")
        receipt = _CLOSED
        if self._in_hand.is_open:
            with self._in_hand:
                receipt = await self._host.intake(TwitterPayload(body=body, own_user_ids=self._own_user_ids))
        return self._told(receipt)

    def _told(self, receipt: Receipt) -> Response:
        if receipt.outcome is Outcome.DEFERRED:
            return problem(503, "The event could not be kept just now: send it again.", headers=RETRY_AFTER)
        # REJECTED too is 200: it is kept as a dead letter, and X could only send the same again.
        answer = _Answer(
            receipt.outcome,
            tuple(one.reference for one in receipt.references),
            bool(receipt.references) and all(one.duplicate for one in receipt.references),
        )
        return Response(body=_encode(answer), headers=_JSON_HEADERS)
