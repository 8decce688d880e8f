"""A modem's POST, to the gateway."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
from aiohttp.web import Request, Response, RouteDef, post

from channels.api import ChannelSettings, FrontDoor, Host, Outcome, Refusal
from channels.bodies import read_body
from channels.in_hand import InHand
from channels.verify import Secrets, matches

from .normalizer import TextPayload

_STATUS = {Outcome.ACCEPTED: 202, Outcome.REJECTED: 422, Outcome.DEFERRED: 503}


class AcmeSettings(ChannelSettings):
    """One modem."""

    type: Literal["acme_sms"]
    tokens: Secrets


class AcmeAdapter:
    """Takes texts while it is open."""

    def __init__(self, settings: AcmeSettings, host: Host[TextPayload]) -> None:
        self._settings, self._host = settings, host
        self._in_hand = InHand()
        self._open = False

    def routes(self) -> Sequence[RouteDef]:
        return [post("/texts", self._text)]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self._open = True
        yield
        self._open = False
        await self._in_hand.drain(20)

    async def _text(self, request: Request) -> Response:
        tokens = (token.get_secret_value() for token in self._settings.tokens)
        if not matches(request.headers.get("X-Acme-Token", ""), tokens):
            self._host.refused(Refusal.FORGED, "token of the modem")
            return Response(status=403)
        body = await read_body(request, 4096, seconds=5)
        if body is None:
            self._host.refused(Refusal.OVERSIZED, "text over 4 KiB")
            return Response(status=413)
        if not self._open:
            return Response(status=503)
        with self._in_hand:
            receipt = await self._host.intake(TextPayload(body))
        return Response(status=_STATUS[receipt.outcome])


async def simulate(settings: AcmeSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """Sends the sample as it stands."""
    headers = {"X-Acme-Token": settings.tokens[0].get_secret_value()}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{door.url}/texts", data=sample, headers=headers) as answer,
    ):
        return str(answer.status)
