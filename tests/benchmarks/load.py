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

    over = True

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


_TRANSACTION: Sequence[tuple[bytes, bytes]] = (
    (b"MAIL FROM:<minsu@acme.example>\r\n", b"250"),
    (b"RCPT TO:<support@example.com>\r\n", b"250"),
    (b"DATA\r\n", b"354"),
)


class Smtp(asyncio.Protocol):
    """One session that sends mail after mail, or one; every answer is read and checked.

    Commands go in one piece where the server offers PIPELINING, as mail servers send them, else one by one.
    """

    def __init__(
        self, content: Callable[[], bytes], until: float, latencies: list[float], *, once: bool = False
    ) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._content, self._until, self._latencies, self._once = content, until, latencies, once
        self._got, self._expected, self._sent = b"", [b"220"], 0.0
        self._then: Callable[[], None] = self._greet
        self._pipelining = False
        self._left = list(_TRANSACTION)

    @property
    def over(self) -> bool:
        """Whether no other session should follow."""
        return perf_counter() >= self._until

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self._got = (self._got + data).split(b"\r\n")
        for line in lines:
            self._pipelining = self._pipelining or line[4:] == b"PIPELINING"
            if line[3:4] == b"-":
                continue
            if not self._expected or not line.startswith(self._expected.pop(0)):
                self.done.set_exception(AssertionError(line.decode()))
                self._transport.close()
                return
        if not self._expected:
            self._then()

    def _say(self, data: bytes, expected: list[bytes], then: Callable[[], None]) -> None:
        self._expected, self._then = expected, then
        self._transport.write(data)

    def _greet(self) -> None:
        self._say(b"EHLO load.example\r\n", [b"250"], self._begin)

    def _begin(self) -> None:
        self._sent = perf_counter()
        if self._pipelining:
            commands, answers = zip(*_TRANSACTION, strict=True)
            self._say(b"".join(commands), list(answers), self._send)
        else:
            self._left = list(_TRANSACTION)
            self._one_more()

    def _one_more(self) -> None:
        command, answer = self._left.pop(0)
        self._say(command, [answer], self._one_more if self._left else self._send)

    def _send(self) -> None:
        self._say(self._content(), [b"250"], self._taken)

    def _taken(self) -> None:
        self._latencies.append(perf_counter() - self._sent)
        if self._once or self.over:
            self.done.set_result(None)
            self._transport.write(b"QUIT\r\n")
            self._transport.close()
        else:
            self._begin()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed before the end"))


async def drive(port: int, connections: int, client: Callable[[], "Http | Smtp"], *, within: float) -> None:
    """Keep that many connections until each client is over; raises TimeoutError after `within` seconds."""
    loop = asyncio.get_running_loop()

    async def visit() -> None:
        while True:
            _, one = await loop.create_connection(client, "127.0.0.1", port)
            await one.done
            if one.over:
                return

    async with asyncio.timeout(within):
        await asyncio.gather(*(visit() for _ in range(connections)))
