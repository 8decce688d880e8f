"""The web form channel keeps the adapter's promises."""

import json

import aiohttp

from channels.api import Outcome
from channels.testing import TEXT, AdapterContract, Door
from channels.web_form import CHANNEL
from channels.web_form.settings import WebFormSettings


class TestWebForm(AdapterContract):
    channel = CHANNEL
    answers = {Outcome.ACCEPTED: "202", Outcome.REJECTED: "422", Outcome.DEFERRED: "503"}  # noqa: RUF012
    oversized_answer = "413"
    no_forgery = "nobody signs a web form: every typed address is a claim, and is passed on as one"

    def settings(self) -> WebFormSettings:
        return WebFormSettings(type="web_form", max_body=10_000)

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        return await self._post(door, {"email": "customer@acme.example", "message": text}, key)

    async def deliver_oversized(self, door: Door) -> str:
        return await self._post(door, {"email": "customer@acme.example", "message": "x" * 20_000}, "1")

    async def _post(self, door: Door, form: dict[str, str], key: str) -> str:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        async with (
            aiohttp.ClientSession() as client,
            client.post(door.url, data=json.dumps(form), headers=headers) as answer,
        ):
            return str(answer.status)
