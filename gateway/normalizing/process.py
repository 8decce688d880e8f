"""One worker as whoever asks it sees it."""

import asyncio
import os
import signal
import sys
from asyncio import IncompleteReadError
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from typing import Final

from gateway.failures import FailedElsewhere
from gateway.normalizing import frames

_START_TIMEOUT: Final = 60.0
"""Seconds until it must have imported the channel."""
_INHERITED: Final = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
"""What strangers' bytes are read with has no use for the secrets in the environment."""


class Unasked(Exception):
    """It was gone before it began: the payload is not to blame."""


class Crashed(FailedElsewhere):
    """It died over the payload: of it, or because somebody killed it."""


class WorkerProcess:
    """Asked one payload at a time; once `ask` has raised it has to be ended."""

    def __init__(self, process: Process, seconds: float) -> None:
        self._process, self._seconds = process, seconds
        self.pid = process.pid

    @classmethod
    async def start(cls, *, seconds: float, memory: int) -> "WorkerProcess":
        """Raises OSError where no process can be started."""
        environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environ |= {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path), "PYTHONUTF8": "1"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.normalizing.worker", str(seconds), str(memory)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=environ,
            start_new_session=True,  # Ctrl-C is for the gateway
        )
        return cls(process, seconds)

    async def ask(self, request: bytes) -> frames.Answer:
        """Raises Unasked where it never began, Crashed where it died of it, FailedElsewhere where it took too long."""
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await self._say(request)
                begun = await self._hear()
        except (OSError, IncompleteReadError, TimeoutError) as error:
            raise Unasked(type(error).__name__) from error
        if begun != frames.BEGUN:  # it failed before it came to the payload
            return frames.answer(begun)
        try:
            async with asyncio.timeout(self._seconds):
                return frames.answer(await self._hear())
        except TimeoutError as error:
            raise FailedElsewhere("Overrun", f"not done after {self._seconds:g} s") from error
        except (OSError, IncompleteReadError) as error:
            raise Crashed("Crashed", await self._death()) from error

    async def end(self) -> None:
        """Kill it, whatever it is doing."""
        with suppress(ProcessLookupError):
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _say(self, request: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frames.framed(request))
            await self._process.stdin.drain()
        except RuntimeError as error:  # what uvloop says of a pipe whose reader is gone
            raise BrokenPipeError from error

    async def _hear(self) -> bytes:
        assert self._process.stdout is not None
        head = await self._process.stdout.readexactly(frames.HEAD)
        return await self._process.stdout.readexactly(frames.length(head))

    async def _death(self) -> str:
        status = await self._process.wait()
        if status < 0:
            return f"the worker was killed by {signal.Signals(-status).name}"
        return f"the worker ended with {status}"
