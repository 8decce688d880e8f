"""Slack Bolt behind the door: every event is durably kept before Bolt would ask who is allowed to send it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from aiohttp.web import Response
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from channels.api import Outcome, Receipt
from channels.problems import RETRY_AFTER

Take = Callable[[bytes], Awaitable[Receipt]]

# Bolt quotes whole requests in what it logs, and copies this level to each of its loggers.
_LOGGER = logging.getLogger("slack_bolt.gateway")
_LOGGER.setLevel(logging.CRITICAL + 1)


class BoltIngress:
    """Takes genuine requests: Bolt itself answers `url_verification`, `take` gets everything else, whatever its shape.

    Nothing here reaches for the network: what Bolt asks Slack (auth.test) comes after `take` has answered.
    """

    def __init__(self, take: Take) -> None:
        self._take = take
        self._app = AsyncApp(
            name="slack_bolt.gateway",
            logger=_LOGGER,
            before_authorize=_Keep(take),
            authorize=_never,
            # Checked before Bolt reads the body: it knows one secret, answers 500 to a time stamp or signature of
            # odd characters, and 200 to ssl_check without a signature.
            request_verification_enabled=False,
            ssl_check_enabled=False,
            ignoring_self_events_enabled=False,
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )

    async def answer(self, body: bytes) -> Response:
        """What Slack is told about a JSON request."""
        try:
            request = AsyncBoltRequest(body=body.decode(), headers={"content-type": "application/json"})
        except Exception:  # Bolt guards against no shape but the usual: any exception there is
            return await to_aiohttp_response(_told(await self._take(body)))
        return await to_aiohttp_response(await self._app.async_dispatch(request))


class _Keep(AsyncMiddleware):
    """A middleware object, not a function: for those Bolt takes the request apart once more, and trips on it."""

    def __init__(self, take: Take) -> None:
        self._take = take

    async def async_process(
        self, *, req: AsyncBoltRequest, resp: BoltResponse, next: Callable[[], Awaitable[BoltResponse]]
    ) -> BoltResponse | None:
        if req.body.get("type") == "url_verification":
            await next()
            return None
        return _told(await self._take(req.raw_body.encode()))


def _told(receipt: Receipt) -> BoltResponse:
    # No X-Slack-No-Retry: Slack is to come again, after a moment, a minute and five.
    if receipt.outcome is Outcome.DEFERRED:
        return BoltResponse(status=503, headers=dict(RETRY_AFTER))
    # REJECTED too is 200: it is kept as a dead letter, and Slack could only send the same again.
    return BoltResponse(
        status=200,
        body={  # for `simulate` and for people: Slack reads the status only
            "outcome": receipt.outcome.value,
            "references": [one.reference for one in receipt.references],
            "duplicate": bool(receipt.references) and all(one.duplicate for one in receipt.references),
        },
    )


async def _never(**_: Any) -> NoReturn:
    raise AssertionError("url_verification needs no authorization, and nothing else comes this far")
