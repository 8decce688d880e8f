"""The workers as processes: started, connected, started again when they die, told to stop and waited for."""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import structlog
from structlog.typing import FilteringBoundLogger

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
STEADY = 60.0
"""Seconds after which the death of a worker is no longer one of a row."""


class StartFailed(Exception):
    """A worker ended before it was ready; what was wrong it has said itself. A negative status is a signal's."""

    def __init__(self, number: int, status: int) -> None:
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        super().__init__(f"worker {number} ended by {how} before it was ready")
        self.status = status


class Crew:
    """`size` processes of one command; each is sent its assignment and answers when it is ready."""

    def __init__(
        self,
        size: int,
        command: Callable[[int], Sequence[str]],
        assignment: Callable[[int], object],
        *,
        on_end: Callable[[int], None],
    ) -> None:
        self._size, self._command, self._assignment, self._on_end = size, command, assignment, on_end
        self._workers: dict[int, _Worker] = {}
        self._keepers: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._cut_short = False

    async def start(self) -> object:
        """Start one and, once it is ready, the others; what the first answered. Raises StartFailed.

        So what is wrong with the configuration or a dependency is said once, and not by every worker.
        """
        first = await self._keep(1)
        others = (self._keep(number) for number in range(2, self._size + 1))
        await asyncio.gather(*others, return_exceptions=True)  # one that failed is tried again
        return first

    async def stop(self, within: float) -> None:
        """Tell all to stop; who has not after `within` seconds, or when this is cancelled, is killed.

        Raises TimeoutError where that, or its own bound, cut a worker short.
        """
        self._stopping.set()
        self._signal(signal.SIGTERM)
        try:
            if self._keepers:
                _, late = await asyncio.wait(self._keepers, timeout=within)
                self._cut_short |= bool(late)
        finally:
            self._signal(signal.SIGKILL)
        if self._keepers:
            await asyncio.wait(self._keepers)
        if self._cut_short:
            raise TimeoutError

    def _signal(self, signum: signal.Signals) -> None:
        for worker in self._workers.values():
            with suppress(ProcessLookupError):
                worker.process.send_signal(signum)

    def _keep(self, number: int) -> asyncio.Future[object]:
        """Keep a worker alive from now on; resolved when it is ready, failed when it ends before that."""
        ready: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        keeper = asyncio.create_task(self._keep_alive(number, ready), name=f"worker-{number}")
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        return ready

    async def _keep_alive(self, number: int, ready: asyncio.Future[object]) -> None:
        log: FilteringBoundLogger = structlog.get_logger().bind(worker=number)
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = clock()
            try:
                status, served = await self._live(number, ready, log)
            except Exception as error:  # no process to be had, or its assignment cannot be sent: tried again
                log.error("worker.failed", error=type(error).__name__)
                status, served = 1, False
            if self._stopping.is_set():
                self._cut_short |= served and status != 0
                return
            if not ready.done():
                ready.set_exception(StartFailed(number, status))
                if number == 1:
                    return
            if clock() - began > STEADY:
                pause = FIRST_PAUSE
            tell = log.error if status else log.info
            tell("worker.died" if status else "worker.ended", status=status, again_in_s=pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _live(self, number: int, ready: asyncio.Future[object], log: FilteringBoundLogger) -> tuple[int, bool]:
        """One life of a worker: its exit status, and whether it was ever ready."""
        worker = await _spawn(self._command(number))
        self._workers[number] = worker
        try:
            if self._stopping.is_set():  # while it was being started: it has nothing in hand
                worker.process.kill()
            worker.assign(self._assignment(number), ready, log)
            status = await worker.process.wait()
        finally:
            del self._workers[number]
            await worker.leave()
        self._on_end(number)
        return status, worker.served


@dataclass
class _Worker:
    process: Process
    connection: Connection
    served: bool = False

    def assign(self, assignment: object, ready: asyncio.Future[object], log: FilteringBoundLogger) -> None:
        """Send the first word and wait for the answer; one that is dead already is told of by its process."""
        loop = asyncio.get_running_loop()

        def answered() -> None:
            loop.remove_reader(self.connection.fileno())
            with suppress(EOFError, OSError):
                answer = self.connection.recv()
                self.served = True
                if not ready.done():
                    ready.set_result(answer)
                log.info("worker.started", pid=self.process.pid)

        loop.add_reader(self.connection.fileno(), answered)
        with suppress(OSError):
            self.connection.send(assignment)

    async def leave(self) -> None:
        """End the connection, and a process that still runs because something else went wrong."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self.connection.fileno())
        self.connection.close()


async def _spawn(command: Sequence[str]) -> _Worker:
    """Start a process whose standard input is the other end of a connection."""
    ours, theirs = Pipe()
    with theirs:
        try:
            # A group of its own: Ctrl-C in the terminal is for the supervisor, which passes it on once.
            process = await asyncio.create_subprocess_exec(*command, stdin=theirs.fileno(), process_group=0)
        except BaseException:
            ours.close()
            raise
    return _Worker(process, ours)
