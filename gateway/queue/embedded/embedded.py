"""The server that comes along: never two on one directory, restarted at death, stopped by its last user."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from gateway.queue.embedded.binary import EmbeddedError, find_binary
from gateway.queue.embedded.process import HOST, POLL, Answer, EmbeddedOptions, ServerProcess, ask, configure
from gateway.queue.locks import alone, read_holder, share, try_exclusive, write_holder

__all__ = ["EmbeddedError", "EmbeddedOptions", "EmbeddedServer", "embedded"]

WATCH = 1.0
LONGEST_PAUSE = 30.0
ADOPT_TIMEOUT = 5.0
TERMINATE_TIMEOUT = 10.0
KILL_TIMEOUT = 5.0

OnEvent = Callable[[str, Mapping[str, object]], None]


def ignore(event: str, fields: Mapping[str, object], /) -> None:
    """Report nothing."""


@dataclass
class EmbeddedServer:
    """The server in use. A restart changes `pid`; `port` too where another gateway restarted it elsewhere."""

    port: int
    pid: int = 0
    """0 while there is none."""
    adopted: bool = False
    """Whether another process started it."""
    binary: Path = Path()
    version: str = ""

    @property
    def url(self) -> str:
        """For any Redis client on this machine."""
        return f"redis://{HOST}:{self.port}"


@asynccontextmanager
async def embedded(options: EmbeddedOptions, *, on_event: OnEvent = ignore) -> AsyncIterator[EmbeddedServer]:
    """A ready server on `options.dir`, kept up while entered; raises EmbeddedError on entry.

    Reports embedded.started, .adopted, .died, .restarted, .failed (once per outage), .stopped and .left.
    """
    find_binary()
    with _explained(options.dir):
        directory = _prepared(options.dir)
        users = await share(directory / "users.lock", TERMINATE_TIMEOUT + KILL_TIMEOUT + 5)
    keeper = _Keeper(options, directory, on_event)
    try:
        with _explained(directory):
            await keeper.ensure("embedded.started")
        watch = asyncio.create_task(keeper.watch(), name="embedded-watch")
        try:
            yield keeper.server
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
    finally:
        try:
            await keeper.leave(users)
        finally:
            os.close(users)


class _Keeper:
    def __init__(self, options: EmbeddedOptions, directory: Path, on_event: OnEvent) -> None:
        self.server = EmbeddedServer(options.port)
        self._options = options
        self._directory = directory
        self._lock = directory / "server.lock"
        self._on_event = on_event
        self._process: ServerProcess | None = None

    async def ensure(self, started: str) -> None:
        """Adopt the server that holds the directory, or start one; raises EmbeddedError."""
        began = monotonic()
        deadline = began + ADOPT_TIMEOUT
        while (lock := try_exclusive(self._lock)) is None:
            port, pid = read_holder(self._lock)
            answer = await ask(port, self._directory)
            if answer and answer.ready and await configure(port, self._options):
                self._use("embedded.adopted", port, answer, began)
                return
            if answer:
                deadline = began + self._options.ready_timeout
            if monotonic() > deadline:
                raise EmbeddedError(
                    f"{self._directory} is held by a server (process {pid or 'unknown'}) that is not ready "
                    f"on {HOST}:{port}: wait for it, or stop it and start again"
                )
            await asyncio.sleep(POLL)
        port = self.server.port
        try:
            # The port before the start: a gateway killed in between leaves a server that can be found.
            write_holder(lock, port)
            self._process = ServerProcess(find_binary(), self._options, self._directory, port, lock)
            write_holder(lock, port, self._process.pid)
        finally:
            os.close(lock)  # from here on it is the server's alone
        answer = await self._process.ready(began + self._options.ready_timeout)
        self._use(started, port, answer, began)

    def _use(self, event: str, port: int, answer: Answer, began: float) -> None:
        if self._process and self._process.pid != answer.pid:
            self._process = None
        server = self.server
        server.port, server.pid, server.adopted = port, answer.pid, self._process is None
        server.binary, server.version = answer.binary, answer.version
        seconds = round(monotonic() - began, 4)
        self._report(event, version=answer.version, configured_port=self._options.port, seconds=seconds)

    async def watch(self) -> None:
        """Bring the server back whenever it is gone, for ever."""
        pause = WATCH
        while True:
            await asyncio.sleep(pause)
            try:
                if self.server.pid and not self._alive():
                    self._report("embedded.died")
                    self.server.pid = 0
                if not self.server.pid:
                    await self.ensure("embedded.restarted")
                pause = WATCH
            except Exception as error:  # whatever it was, the next round may do better
                if pause == WATCH:
                    self._report("embedded.failed", reason=str(error) or repr(error))
                pause = min(pause * 2, LONGEST_PAUSE)

    async def leave(self, users: int) -> None:
        """Stop the server unless somebody else uses it; `users` is our share of the users' lock."""
        if not alone(users):
            if self._process:
                self._process.abandon()
            self._report("embedded.left")
            return
        pid = self._process.pid if self._process else self.server.pid
        if not pid or not self._alive():
            return
        for means, seconds in ((signal.SIGTERM, TERMINATE_TIMEOUT), (signal.SIGKILL, KILL_TIMEOUT)):
            with suppress(ProcessLookupError):
                os.kill(pid, means)
            deadline = monotonic() + seconds
            while monotonic() < deadline:
                if not self._alive():
                    self._report("embedded.stopped", pid=pid)
                    return
                await asyncio.sleep(POLL)
        self._report("embedded.failed", reason=f"process {pid} does not stop")

    def _alive(self) -> bool:
        if self._process:
            return self._process.alive()
        lock = try_exclusive(self._lock)
        if lock is not None:
            os.close(lock)
        return lock is None

    def _report(self, event: str, **fields: object) -> None:
        self._on_event(event, {"pid": self.server.pid, "port": self.server.port, **fields})


def _prepared(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory.resolve(strict=True)


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedError(f"the embedded server cannot use {directory}: {error}") from error
