"""An IMAP server that misbehaves on purpose; where it behaves, it answers as Dovecot does."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

Say = Callable[[str], bytes | None]
"""From a command without its tag to the whole answer but the last line, or None for the usual one."""


class FakeImap:
    """Mails by UID in one folder; `says` may answer in its own way, `ends` is the last line but its tag."""

    def __init__(self, mails: dict[int, bytes], *, idle: bool = True) -> None:
        self.mails, self.idle = mails, idle
        self.port = 0
        self.commands: list[str] = []
        self.connections = 0
        self.greeting = b"* OK ready\r\n"
        self.says: Say = lambda command: None
        self.ends: Callable[[str], str | None] = lambda command: None
        self.cut_after: Callable[[str], bool] = lambda command: False
        """Whether to hang up when that much has been said."""
        self.hangs: Callable[[str], bool] = lambda command: False
        self.idle_news: Callable[[], bytes] = lambda: b""
        """What is told in one packet with the go-ahead."""
        self._open: set[asyncio.StreamWriter] = set()

    def settings(self, **more: Any) -> dict[str, Any]:
        plain = {"host": "127.0.0.1", "port": self.port, "tls": "none", "user": "desk", "password": "secret-1"}
        return {**plain, "since": "all", "poll": "50ms", **more}

    def asked(self, pattern: str) -> list[str]:
        return [command for command in self.commands if re.search(pattern, command)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        writer.write(self.greeting)
        try:
            while line := (await reader.readline()).decode():
                tag, _, command = line.strip().partition(" ")
                self.commands.append(command)
                if self.hangs(command):
                    await asyncio.Event().wait()
                said = self.says(command)
                if command == "IDLE" and said is None and self.ends(command) is None:
                    writer.write(b"+ idling\r\n" + self.idle_news())
                    await reader.readline()
                    said = b""
                writer.write(self._usual(command) if said is None else said)
                if self.cut_after(command):
                    await writer.drain()
                    return
                writer.write(f"{tag} {self.ends(command) or 'OK done'}\r\n".encode())
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    def _usual(self, command: str) -> bytes:
        verb = command.upper().removeprefix("UID ").split()[0]
        if verb == "CAPABILITY":
            return b"* CAPABILITY IMAP4rev1" + (b" IDLE" if self.idle else b"") + b"\r\n"
        if verb == "EXAMINE":
            next_uid = max(self.mails, default=0) + 1
            lines = f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT {next_uid}] ok\r\n"
            return lines.encode()
        if verb == "SEARCH":
            return b"* SEARCH" + b"".join(b" %d" % uid for uid in self.named(command)) + b"\r\n"
        if verb == "FETCH":
            return b"".join(self._fetched(uid, command) for uid in self.named(command) if uid in self.mails)
        return b""

    def named(self, command: str) -> list[int]:
        words = command.split()
        which = words[2] if words[1] == "FETCH" else words[3]
        wanted: set[int] = set()
        for piece in which.split(","):
            first, _, last = piece.partition(":")
            wanted |= set(range(int(first), int(last or first) + 1)) & set(self.mails)
        return sorted(wanted)

    def _fetched(self, uid: int, command: str) -> bytes:
        mail = self.mails[uid]
        number = sorted(self.mails).index(uid) + 1
        if "RFC822.SIZE" in command:
            return b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (number, uid, len(mail))
        name, content = b"BODY[]", mail
        if "HEADER" in command:
            name, content = b"BODY[HEADER]", mail.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        elif piece := re.search(r"<(\d+)\.(\d+)>", command):
            at, length = int(piece[1]), int(piece[2])
            name, content = b"BODY[]<%d>" % at, mail[at : at + length]
        return b"* %d FETCH (UID %d %b {%d}\r\n%b)\r\n" % (number, uid, name, len(content), content)


@asynccontextmanager
async def fake_imap(mails: dict[int, bytes], **more: Any) -> AsyncIterator[FakeImap]:
    fake = FakeImap(mails, **more)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        fake.hang_up()
        await server.wait_closed()
