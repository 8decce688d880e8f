"""A TCP proxy between the gateway and its Redis that can be told to misbehave."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Filter = Callable[[bytes], bytes | None]
"""What becomes of a piece of the server's answers; None cuts the connection before any of it arrives."""


@dataclass
class Proxy:
    """`port` is where it listens; what is set here holds for the connections that are open, too."""

    port: int = 0
    answers: Filter = bytes
    hole: bool = False
    """Swallow what is asked: the server never hears it."""
    trickle: float | None = None
    """Seconds between two bytes of an answer."""
    late: float = 0.0
    """Seconds before each answer."""
    asked: deque[bytes] = field(default_factory=lambda: deque(maxlen=10_000))
    """What was asked lately, swallowed or not."""
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Cut every connection now."""
        for writer in self.writers:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.asked.append(data)
            if not self.hole:
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(self.late)
            passed = self.answers(data)
            if passed is None:
                break
            if self.trickle is None:
                writer.write(passed)
            else:
                for byte in passed:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(self.trickle or 0)
        writer.close()


@asynccontextmanager
async def proxy(server: int) -> AsyncIterator[Proxy]:
    """A proxy of the server on that loopback port."""
    made = Proxy()
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", server)
        except OSError:
            writer.close()
            return
        made.writers |= {writer, to_writer}
        with suppress(OSError):
            await asyncio.gather(made._ask(reader, to_writer), made._answer(to_reader, writer))
        made.writers -= {writer, to_writer}
        for one in (writer, to_writer):
            one.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(connection(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    made.port = listener.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listener.close()
        made.cut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
