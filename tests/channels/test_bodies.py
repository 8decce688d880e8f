import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from channels.bodies import read_body

LIMIT = 4096
PATIENCE = 10.0


class Reader:
    """A server that reads what it is sent, and remembers what became of it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.results: asyncio.Queue[bytes | type[Exception] | None] = asyncio.Queue()
        self.address = ("", 0)

    async def handle(self, request: web.Request) -> web.Response:
        result: bytes | type[Exception] | None
        try:
            result = await read_body(request, LIMIT, seconds=self._seconds)
        except (TimeoutError, web.RequestPayloadError) as error:
            result = type(error)
            request.content.feed_eof()
        self.results.put_nowait(result)
        response = web.Response()
        response.force_close()
        return response

    async def result(self) -> bytes | type[Exception] | None:
        return await asyncio.wait_for(self.results.get(), PATIENCE)

    async def post(self, body: Any, **headers: str) -> bytes | type[Exception] | None:
        url = f"http://{self.address[0]}:{self.address[1]}/"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            async with aiohttp.ClientSession() as client, client.post(url, data=body, headers=sent):
                pass
        except aiohttp.ClientError:
            pass  # a body refused half-way may cost its client the connection
        return await self.result()

    @asynccontextmanager
    async def begin(self, *head: str, body: bytes = b"") -> AsyncIterator[asyncio.StreamWriter]:
        """A POST whose body is still to come."""
        _, writer = await asyncio.open_connection(*self.address)
        writer.write("\r\n".join(("POST / HTTP/1.1", "Host: x", *head, "", "")).encode() + body)
        yield writer
        writer.transport.abort()


@asynccontextmanager
async def reader(seconds: float = PATIENCE) -> AsyncIterator[Reader]:
    server = Reader(seconds)
    app = web.Application(client_max_size=1)  # no limit but the caller's
    app.router.add_post("/", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.address = runner.addresses[0][:2]
    try:
        yield server
    finally:
        await runner.cleanup()


async def parts(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def ways(body: bytes) -> list[tuple[Any, dict[str, str]]]:
    """Announced, in chunks, and compressed both ways."""
    return [
        (body, {}),
        (parts(body), {}),
        (gzip.compress(body), {"Content_Encoding": "gzip"}),
        (zlib.compress(body), {"Content_Encoding": "deflate"}),
    ]


@pytest.mark.parametrize("size", [0, 1, LIMIT - 1, LIMIT])
async def test_a_body_within_the_limit_is_whole_however_it_comes(size):
    body = bytes(range(256)) * (size // 256 + 1)
    async with reader() as server:
        for sent, headers in ways(body[:size]):
            assert await server.post(sent, **headers) == body[:size]


@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT, 1_000_000])
async def test_a_body_over_the_limit_is_none_however_it_comes(size):
    async with reader() as server:
        for sent, headers in ways(b" " * size):
            assert await server.post(sent, **headers) is None


async def test_an_announced_giant_is_refused_before_it_comes():
    async with reader() as server, server.begin("Content-Length: 1000000000"):
        assert await server.result() is None


async def test_chunks_without_end_are_refused_as_soon_as_they_are_too_many():
    chunk = b"1400\r\n" + b" " * 0x1400 + b"\r\n"
    async with reader() as server, server.begin("Transfer-Encoding: chunked", body=chunk):
        assert await server.result() is None


async def test_a_body_that_comes_after_its_headers_is_read():
    async with reader() as server, server.begin("Content-Length: 5", "Expect: 100-continue") as writer:
        writer.write(b"he")
        await writer.drain()
        writer.write(b"llo")
        assert await server.result() == b"hello"


async def test_a_body_that_stops_half_way_is_waited_for_no_longer_than_asked():
    async with reader(seconds=0.01) as server, server.begin("Content-Length: 5", body=b"he"):
        assert await server.result() is TimeoutError


async def test_a_trickle_does_not_buy_time():
    async with reader(seconds=0.05) as server, server.begin("Transfer-Encoding: chunked") as writer:

        async def trickle() -> None:
            while True:
                writer.write(b"1\r\nx\r\n")
                await asyncio.sleep(0.005)

        trickling = asyncio.create_task(trickle())
        result = await server.result()
        trickling.cancel()
        assert result is TimeoutError


async def test_what_does_not_decompress_is_said():
    async with reader() as server:
        assert await server.post(b"not gzip", Content_Encoding="gzip") is web.RequestPayloadError
