"""Clients lean enough to keep a server busy from the other core: raw protocols, every answer read and checked."""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import cast


class Http(asyncio.Protocol):
    """One keep-alive connection that sends the next request as soon as the answer to the last is whole."""

    def __init__(self, request: Callable[[], bytes], expect: bytes, until: float, latencies: list[float]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._expect, self._until, self._latencies = request, expect, until, latencies
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        request = self._request()
        self._sent = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, blank, body = self._got.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._got = b""
        now = perf_counter()
        if not head.startswith(self._expect):
            self.done.set_exception(AssertionError(head.decode() + body.decode()))
            self._transport.close()
        elif now < self._until:
            self._latencies.append(now - self._sent)
            self._send()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed before the end"))


class Smtp(asyncio.Protocol):
    """One session that sends mail after mail: MAIL, RCPT, DATA and the content, each answer awaited."""

    def __init__(self, content: Callable[[], bytes], until: float, latencies: list[float]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._content, self._until, self._latencies = content, until, latencies
        self._step = -2
        self._commands: Sequence[tuple[bytes, bytes]] = (
            (b"MAIL FROM:<minsu@acme.example>\r\n", b"250"),
            (b"RCPT TO:<support@example.com>\r\n", b"250"),
            (b"DATA\r\n", b"354"),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        last = data.rstrip(b"\r\n").rsplit(b"\r\n", 1)[-1]
        if last[3:4] == b"-":
            return
        if self._step == -2:
            self._transport.write(b"EHLO load.example\r\n")
        elif self._step >= 0 and not last.startswith((b"250", b"354")):
            self.done.set_exception(AssertionError(data.decode()))
            self._transport.close()
            return
        elif self._step == 3:
            self._latencies.append(perf_counter() - self._sent)
            if perf_counter() >= self._until:
                self._transport.write(b"QUIT\r\n")
                self._transport.close()
                self.done.set_result(None)
                return
            self._step = -1
        if self._step >= -1:
            self._next()
        self._step += 1

    def _next(self) -> None:
        step = self._step + 1
        if step == 0:
            self._sent = perf_counter()
        self._transport.write(self._commands[step][0] if step < 3 else self._content())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed before the end"))


async def drive(port: int, connections: int, client: Callable[[], "Http | Smtp"], *, within: float) -> None:
    """Open that many connections and wait until each has done its part; raises TimeoutError after `within` seconds."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(within):
        clients = [(await loop.create_connection(client, "127.0.0.1", port))[1] for _ in range(connections)]
        await asyncio.gather(*(one.done for one in clients))
