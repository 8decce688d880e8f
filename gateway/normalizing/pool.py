"""The workers of a gateway: started when first needed, kept while there is work, killed when one hangs."""

import asyncio
import pickle
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import msgspec

from channels.api import Channel, P
from gateway.failures import FailedElsewhere
from gateway.normalizing import frames
from gateway.normalizing.process import Crashed, Unasked, WorkerProcess
from normalizers.message import Incomplete, Malformed, Message

_IDLE: Final = 300.0
"""Seconds without work after which workers are ended."""
_STARTS: Final = 2
"""Tries to have a new worker begin: a signal to everybody may meet one that does not ignore it yet."""
_PREFIX: Final = "normalized-"


class NoRoom(Exception):
    """The scratch disk takes nothing: later it may."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What normalizing may cost."""

    workers: int = 2
    timeout: float = 10.0
    """Seconds for one payload."""
    memory: int = 2**30
    """Bytes of address space of one worker."""


class Normalizing:
    """Normalizes what is heavy; `async with` ends its workers."""

    def __init__(self, scratch: Path, limits: Limits | None = None, *, idle: float = _IDLE) -> None:
        self._scratch, self.limits, self._idle_time = scratch, limits or Limits(), idle
        self._slots = asyncio.Semaphore(self.limits.workers)
        # What is too large for memory takes longest, and most: the others have a worker it cannot have.
        self._large = asyncio.Semaphore(max(self.limits.workers - 1, 1))
        self.idle: list[WorkerProcess] = []
        """Workers that wait for a payload."""
        self._ending: set[asyncio.Task[None]] = set()
        self._retirement: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> "Normalizing":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._retire()
        while self._ending:
            await asyncio.wait(self._ending)

    @asynccontextmanager
    async def normalized(self, channel: Channel[Any, P], payload: P) -> AsyncIterator[Sequence[Message]]:
        """The messages in it, their larger files on disk while entered.

        Raises Malformed and Incomplete as the normalizer does; FailedElsewhere for all else that went wrong in it,
        for more time or memory than allowed, and for a crash. Raises NoRoom where nothing can be written.
        """
        try:
            folder = await asyncio.to_thread(tempfile.mkdtemp, prefix=_PREFIX, dir=self._scratch)
        except OSError as error:
            raise NoRoom(type(error).__name__) from error
        try:
            yield _said(await self._answer(channel, payload, folder))
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def _answer(self, channel: Channel[Any, P], payload: P, folder: str) -> frames.Answer:
        async with self._large if getattr(payload, "file", None) else nullcontext(), self._slots:
            request = _request(channel, payload, folder)  # not before its turn: hundreds may wait
            try:
                return await self._heard(request)
            except Crashed:  # of memory others took, perhaps: what is to blame itself crashes again
                return await self._heard(request)

    async def _heard(self, request: bytes) -> frames.Answer:
        while self.idle:
            try:
                return await self._asked(self.idle.pop(), request)
            except Unasked:  # it died while nobody looked
                continue
        gone: Exception | None = None
        for _ in range(_STARTS):
            try:
                worker = await WorkerProcess.start(seconds=self.limits.timeout, memory=self.limits.memory)
                return await self._asked(worker, request)
            except (OSError, Unasked) as error:
                gone = error
        raise FailedElsewhere("Unstarted", f"no worker could be started: {gone}") from gone

    async def _asked(self, worker: WorkerProcess, request: bytes) -> frames.Answer:
        try:
            answer = await worker.ask(request)
        except BaseException:  # cancelled, too: what it is in the middle of is nobody's any more
            self._end(worker)
            raise
        if isinstance(answer, frames.Failed) and answer.exhausted:
            self._end(worker)
        else:
            self.idle.append(worker)
            self._rest()
        return answer

    def _rest(self) -> None:
        if self._retirement is not None:
            self._retirement.cancel()
        self._retirement = asyncio.get_running_loop().call_later(self._idle_time, self._retire)

    def _retire(self) -> None:
        if self._retirement is not None:
            self._retirement.cancel()
            self._retirement = None
        while self.idle:
            self._end(self.idle.pop())

    def _end(self, worker: WorkerProcess) -> None:
        task = asyncio.create_task(worker.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _request(channel: Channel[Any, P], payload: P, folder: str) -> bytes:
    content = msgspec.Raw(frames.encode(payload))
    return frames.encode(frames.Request(channel=channel.name, way=_way(channel), folder=folder, payload=content))


def _way(channel: Channel[Any, Any]) -> bytes:
    try:
        return pickle.dumps((channel.payload, channel.opened, channel.normalize))
    except (pickle.PicklingError, AttributeError, TypeError):  # something without a name
        return b""


def _said(answer: frames.Answer) -> Sequence[Message]:
    match answer:
        case frames.Read(messages=messages):
            return messages
        case frames.Refused(problems=problems, incomplete=incomplete):
            raise Incomplete(*problems) if incomplete else Malformed(*problems)
        case frames.Failed(no_room=True, place=place):
            raise NoRoom(place)
        case frames.Failed(place=place, account=account):
            raise FailedElsewhere(place, account)
