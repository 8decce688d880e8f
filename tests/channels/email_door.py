"""An email inbox on loopback before a fake gateway, and a client that can misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from channels.api import Receipt
from channels.email.adapter import EmailAdapter
from channels.email.settings import EmailSettings
from channels.testing_host import FakeHost

ID = "0b54cf0e-34a4-8c3f-9d1e-5a2f0c9d7e11"
ACCEPTED = f"250 2.0.0 accepted {ID}"
PATIENCE = 10.0
MAIL = b"From: a@b.example\r\nSubject: hi\r\n\r\nhello\r\n"


def stuffed(message: bytes) -> bytes:
    """As a client sends it; `message` ends with CRLF or is empty."""
    lines = message.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


class Client:
    """Speaks raw SMTP, so that it can misbehave."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reply(self) -> str:
        """The next reply, its lines joined; empty where the connection is closed."""
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), PATIENCE)).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, command: str) -> str:
        self.send(command.encode() + b"\r\n")
        return await self.reply()

    async def begin(self, *, sender: str = "<a@b.example>", to: str = "<support@example.com>") -> None:
        """Up to the point where the message is due."""
        assert (await self.say(f"MAIL FROM:{sender}"))[:3] == "250"
        assert (await self.say(f"RCPT TO:{to}"))[:3] == "250"
        assert (await self.say("DATA"))[:3] == "354"

    async def deliver(self, message: bytes = MAIL, **envelope: str) -> str:
        await self.begin(**envelope)
        self.send(stuffed(message))
        return await self.reply()


class MailHost(FakeHost):
    """Remembers what was on the scratch disk, too: the door removes it."""

    def __init__(self, inbox: str) -> None:
        super().__init__(inbox)
        self.files: dict[str, bytes] = {}

    async def intake(self, payload: Any, /) -> Receipt:
        if payload.file:
            self.files[payload.file] = Path(payload.file).read_bytes()
        return await super().intake(payload)


class Listening:
    """An adapter behind its socket, before a fake gateway."""

    def __init__(self, settings: dict[str, Any], host: FakeHost) -> None:
        basic = {"type": "email", "listen": "127.0.0.1:0", "recipients": ["support@example.com"], "error_delay": "0"}
        self.host = host
        self.adapter = EmailAdapter(EmailSettings.model_validate(basic | settings), host)
        self._lifespan = AsyncExitStack()
        self._clients: list[Client] = []

    async def open(self) -> None:
        await self._lifespan.enter_async_context(self.adapter.lifespan())

    async def close(self) -> None:
        await asyncio.wait_for(self._lifespan.aclose(), PATIENCE)

    async def connect(self) -> tuple[Client, str]:
        client = Client(*await asyncio.open_connection(*self.adapter.address))
        self._clients.append(client)
        return client, await client.reply()

    async def client(self) -> Client:
        """One who has said hello."""
        client, _ = await self.connect()
        assert (await client.say("EHLO client.example")).startswith("250")
        return client

    def hang_up(self) -> None:
        for client in self._clients:
            client.writer.transport.abort()

    @property
    def contents(self) -> list[bytes]:
        files = self.host.files if isinstance(self.host, MailHost) else {}
        return [files[payload.file] if payload.file else payload.content for payload in self.host.payloads]


@asynccontextmanager
async def listening(host: FakeHost | None = None, **settings: Any) -> AsyncIterator[Listening]:
    server = Listening(settings, host or MailHost("support"))
    await server.open()
    try:
        yield server
    finally:
        server.host.go_on.set()
        server.hang_up()
        await server.close()
