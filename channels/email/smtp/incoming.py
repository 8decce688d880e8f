"""A mail while it arrives: in memory while it is small, on the scratch disk from then on."""

import asyncio
from typing import Final

import structlog

from channels.email.smtp import replies
from channels.email.smtp.data_reader import DataReader
from channels.email.smtp.desk import Desk
from channels.email.smtp.hops import HEADER_CAP
from channels.email.smtp.room import Share
from channels.email.smtp.scratch_file import ScratchFile

SPILL_OVER: Final = 256 * 1024
"""Bytes of a mail in memory from which on it goes to the disk."""

log = structlog.get_logger()


class Incoming:
    """Holds room for what it keeps until `close`, or until `handed_over` is called where that was asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reader = DataReader(desk.settings.max_size)
        self._memory = Share(desk.memory)
        self._disk = Share(desk.disk)
        self._left = False
        self.file: ScratchFile | None = None
        self.content = b""
        """The whole message, unless there is a `file`."""
        self.no_room: bytes | None = None
        """The reply that says why it cannot be kept; its end is still found."""

    @property
    def received(self) -> int:
        """Bytes of it so far, as they were sent."""
        return self._reader.received

    async def feed(self, chunk: bytes) -> bytes | None:
        """None while its end has not come; then what followed it. Waits for the disk, and so does its sender."""
        rest = self._reader.feed(chunk)
        if self.no_room is not None:
            return rest
        if not self._memory.resize(self._reader.size):
            self._give_up(replies.TRY_LATER)
        elif not self._reader.too_big and (self._reader.size > SPILL_OVER or (self.file and rest is not None)):
            await self._spill(last=rest is not None)
        return rest

    def finish(self) -> bool:
        """After its end: whether it is within the limit. `no_room` may turn out only now."""
        limit = self._desk.settings.max_size
        if self.file is not None:
            return not self._reader.too_big and self.file.size <= limit
        content = self._reader.message()
        if content is None:
            return False
        if not self._memory.resize(len(content)):  # mended line ends take more than was sent
            self._give_up(replies.TRY_LATER)
        self.content = content
        return True

    async def head(self) -> bytes:
        """As much of it as a header may take."""
        if self.file is None:
            return self.content
        return await asyncio.to_thread(self.file.head, HEADER_CAP)

    def leave(self) -> None:
        """Whoever was handed it calls `release`; `close` will not."""
        self._left = True

    def close(self) -> None:
        """The session is through with it."""
        if not self._left:
            self.release()

    def release(self) -> None:
        """Nobody needs it any more. Call it in the event loop."""
        self._memory.release()
        if self.file is None:
            self._disk.release()
        else:  # to forget 25 MB takes a disk its time
            try:
                gone = asyncio.get_running_loop().run_in_executor(None, self.file.remove)
            except RuntimeError:  # no thread to be had
                self.file.remove()
                self._disk.release()
            else:
                gone.add_done_callback(lambda _: self._disk.release())

    async def _spill(self, *, last: bool) -> None:
        piece = self._reader.take()
        self.file = file = self.file or ScratchFile(self._desk.scratch)
        if not self._disk.resize(file.size + 2 * len(piece) + 4):  # the most that mended line ends can make of it
            self._give_up(replies.TRY_LATER)
            return
        try:
            await asyncio.to_thread(file.append, piece, last=last)
        except OSError as error:
            why = error.strerror or type(error).__name__
            log.warning("scratch.failed", channel="email", inbox=self._desk.inbox, error=why)
            self._give_up(replies.TRY_LATER)
            return
        self._disk.resize(file.size)
        self._memory.resize(self._reader.size)

    def _give_up(self, reply: bytes) -> None:
        self.no_room = reply
        self._reader.discard()
        self._memory.release()
