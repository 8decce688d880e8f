"""A form over real HTTP, before a gateway that reads what it is handed; and its pages taken apart."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from html.parser import HTMLParser
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from channels.api import ChannelAdapter, Outcome, Receipt
from channels.testing_host import FakeHost
from normalizers.message import Malformed, Message, Problem

PATH = "/channels/contact"
Client = TestClient[web.Request, web.Application]


class ReadingHost(FakeHost):
    """Normalizes, and knows what it has already taken."""

    def __init__(self, normalize: Callable[[Any], Sequence[Message]]) -> None:
        super().__init__("contact")
        self._normalize = normalize
        self.messages: list[Message] = []
        self.receipt: Receipt | None = None
        """Answers every payload where it is set."""

    async def intake(self, payload: Any, /) -> Receipt:
        if self.receipt:
            return self.receipt
        try:
            (message,) = self._normalize(payload)
        except Malformed as fault:
            return Receipt(outcome=Outcome.REJECTED, problems=fault.problems)
        for earlier in self.messages:
            if (earlier.external_id, earlier.fingerprint == message.fingerprint) == (message.external_id, False):
                return Receipt(outcome=Outcome.REJECTED, problems=(Problem("", "conflict", "Other content."),))
        self.messages.append(message)
        return await super().intake(payload)


class FormDoor:
    """One inbox, listening on loopback."""

    def __init__(self, host: ReadingHost, client: Client, lifespan: AsyncExitStack) -> None:
        self.host, self.client = host, client
        self._lifespan = lifespan

    async def close(self) -> None:
        """End the adapter's lifespan; the HTTP server in front of it stays."""
        await self._lifespan.aclose()

    async def get(self, query: str = "", **headers: str) -> ClientResponse:
        return await self.client.get(f"{PATH}{query}", headers=headers)

    async def submit(self, fields: dict[str, str], query: str = "", **headers: str) -> ClientResponse:
        """As a browser does, without following the redirect."""
        return await self.client.post(f"{PATH}{query}", data=fields, headers=headers, allow_redirects=False)

    async def post(self, body: Any, **headers: str) -> ClientResponse:
        """As a program does."""
        return await self.client.post(PATH, json=body, headers=headers)


class Server(TestServer):
    """As the gateway runs it: a plain TestServer cancels the handler of a client that hangs up."""

    async def _make_runner(self, **options: Any) -> web.BaseRunner:
        return await super()._make_runner(**options | {"handler_cancellation": False})


@asynccontextmanager
async def open_adapter(host: ReadingHost, adapter: ChannelAdapter) -> AsyncIterator[FormDoor]:
    """A form at `PATH`."""
    app = web.Application(client_max_size=1)  # the inbox has its own limit
    app.add_routes([web.RouteDef(r.method, f"{PATH}{r.path}", r.handler, r.kwargs) for r in adapter.routes()])
    async with AsyncExitStack() as lifespan, TestClient(Server(app, host="127.0.0.1")) as client:
        await lifespan.enter_async_context(adapter.lifespan())
        yield FormDoor(host, client, lifespan)


class Page(HTMLParser):
    """What a reader of the page meets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[str] = []
        self.values: dict[str, str] = {}
        """What stands in the form's fields."""
        self.words: dict[str, str] = {}
        """Text by tag, `#id` and `href`, the first of each."""
        self.attributes: dict[str, dict[str, str | None]] = {}
        """By id."""
        self.options: dict[str, list[str]] = {}
        """What can be chosen, by the name of the list."""
        self._select = ""
        self._open: list[tuple[str, list[str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if identity := found.get("id"):
            self.attributes[identity] = found
        if tag == "input":
            self.values[found["name"] or ""] = found["value"] or ""
        if tag == "select":
            self._select = found["name"] or ""
        if tag == "option":
            self.options.setdefault(self._select, []).append(found["value"] or "")
            if "selected" in found:
                self.values[self._select] = found["value"] or ""
        keys = [tag, f"#{found.get('id')}", found.get("href") or "", found.get("name") or ""]
        self._open.append((tag, keys))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag, keys in self._open[-1:]:
            for key in keys:
                self.words.setdefault(key, data.strip())
            if tag == "textarea":
                self.values[keys[-1]] = self.values.get(keys[-1], "") + data.removeprefix("\n")
