"""Group commit: whatever waits while a round trip is in flight goes out together in the next script call."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

from gateway.queue.entry import Entry, Published, QueueUnavailable
from gateway.queue.keys import conversation_hash
from gateway.queue.publish_script import PublishScript
from gateway.queue.spool.spool import Spool


class _Waiting(NamedTuple):
    entry: Entry
    answer: "asyncio.Future[Published]"
    since: float


_Batch = Sequence[_Waiting]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Of a batch, and of the waiting room before it: over that an entry is refused at once."""

    batch_entries: int = 256
    batch_bytes: int = 4 * 2**20
    waiting_entries: int = 20_000
    waiting_bytes: int = 128 * 2**20


class Lane:
    """Publishes the entries of one partition in order of arrival, one batch at a time.

    It writes to the spool instead while the server is away, for a conversation that has entries there already, and
    for whoever would wait longer than `timeout` seconds in all.
    """

    def __init__(
        self,
        script: PublishScript,
        spool: Spool,
        *,
        timeout: float,
        bounds: Bounds,
        on_batch: Callable[[int, float], None],
        on_link: Callable[[bool, str], None],
    ) -> None:
        self._script, self._spool, self._timeout = script, spool, timeout
        self._bounds, self._on_batch, self._on_link = bounds, on_batch, on_link
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._committing: asyncio.Task[None] | None = None
        self.up = True
        """Whether the server took what it was last given."""
        self.down = asyncio.Event()
        """Set while it is not up."""

    def publish(self, entry: Entry) -> "asyncio.Future[Published]":
        """Done once the entry is durably on its stream or in the spool, or was before.

        QueueUnavailable is its exception where it is kept nowhere.
        """
        answer: asyncio.Future[Published] = self._loop.create_future()
        bounds = self._bounds
        if len(self._waiting) >= bounds.waiting_entries or self._waiting_bytes > bounds.waiting_bytes:
            answer.set_exception(QueueUnavailable("the waiting room is full"))
            return answer
        self._waiting.append(_Waiting(entry, answer, perf_counter()))
        self._waiting_bytes += entry.size
        if self._committing is None:
            self._committing = self._loop.create_task(self._commit_all(), name="publisher")
        return answer

    def link(self, up: bool, why: str = "") -> None:
        """Note that the server is there, or away."""
        if up is not self.up:
            self.up = up
            (self.down.clear if up else self.down.set)()
            self._on_link(up, why)

    async def drain(self) -> None:
        """Wait for what is in hand. Where that is cut short, those who wait still hear of it."""
        if self._committing is not None:
            await self._committing

    async def _commit_all(self) -> None:
        batch: _Batch = ()
        try:
            while self._waiting:
                batch = self._next_batch()
                await self._commit(batch)
        except BaseException as error:  # the loop ends, or a bug of ours: nobody may wait for ever
            _refuse([*batch, *self._waiting], error)
            self._waiting.clear()
            self._waiting_bytes = 0
            raise
        finally:
            self._committing = None

    def _next_batch(self) -> _Batch:
        batch = [self._waiting.popleft()]
        size = batch[0].entry.size
        while self._waiting and len(batch) < self._bounds.batch_entries:
            if size + self._waiting[0].entry.size > self._bounds.batch_bytes:
                break
            size += self._waiting[0].entry.size
            batch.append(self._waiting.popleft())
        self._waiting_bytes -= size
        return batch

    async def _commit(self, batch: _Batch) -> None:
        held = self._spool.conversations
        if not self.up:
            await self._keep(batch)
        elif held:
            behind = [one for one in batch if conversation_hash(one.entry.conversation) in held]
            direct = [one for one in batch if conversation_hash(one.entry.conversation) not in held]
            await asyncio.gather(self._send(direct), self._keep(behind))
        else:
            await self._send(batch)

    async def _send(self, batch: _Batch) -> None:
        if not batch:
            return
        began = perf_counter()
        left = self._timeout - (began - batch[0].since)
        if left < self._timeout * _TOO_LATE:
            await self._keep(batch)
            return
        try:
            answers = await self._script.publish([one.entry for one in batch], within=left)
        except QueueUnavailable as error:
            self.link(False, str(error))
            await self._keep(batch, sent=True)
            return
        except Exception as error:  # a bug of ours, or of the client: what can be kept is kept
            self.link(False, type(error).__name__)
            await self._keep(batch, sent=True)
            return
        self._on_batch(len(batch), perf_counter() - began)
        kept = []
        for one, answer in zip(batch, answers, strict=True):
            if not isinstance(answer, Published):
                kept.append(one)
            elif not one.answer.done():  # or its waiter was cancelled; the entry is on the stream all the same
                one.answer.set_result(answer)
        await self._keep(kept)

    async def _keep(self, batch: _Batch, *, sent: bool = False) -> None:
        """To the spool; `sent` says that a write may be there already."""
        if not batch:
            return
        try:
            answers = await self._spool.append([one.entry for one in batch], sent=sent)
        except QueueUnavailable as error:
            _refuse(batch, error)
        except Exception as error:  # one of them cannot be written down: the others can
            if len(batch) == 1:
                _refuse(batch, error)
                return
            for one in batch:
                await self._keep([one], sent=sent)
        else:
            for one, answer in zip(batch, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)


_TOO_LATE = 0.1
"""Of the time-out: who has no more left is not sent, for that would look like a server that is away."""


def _refuse(batch: _Batch, error: BaseException) -> None:
    why = error if isinstance(error, QueueUnavailable) else QueueUnavailable(type(error).__name__)
    for one in batch:
        if not one.answer.done():
            one.answer.set_exception(why)
