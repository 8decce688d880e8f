"""Background work goes on after every failure it expects, and ends when it is told to."""

import asyncio
from contextlib import suppress

import pytest

from gateway.queue import recurring
from gateway.queue.entry import QueueUnavailable


async def test_a_cancellation_that_the_work_lost_still_ends_it():
    began = asyncio.Event()

    async def deaf():
        if not began.is_set():
            began.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    running = asyncio.create_task(recurring.recurring(deaf, every=0, on_state=lambda well, why: None))
    await began.wait()
    running.cancel()
    await asyncio.wait([running], timeout=10)
    assert running.cancelled()


async def test_a_bug_is_not_hidden():
    async def broken():
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await recurring.recurring(broken, every=0, on_state=lambda well, why: None)


async def test_it_tells_once_that_it_fails_and_once_that_it_works_again(monkeypatch):
    monkeypatch.setattr(recurring, "SHORTEST", 0.0001)
    turns = iter([QueueUnavailable("a"), OSError("b"), None, None, QueueUnavailable("c"), KeyError("end")])
    states: list[tuple[bool, str]] = []

    async def work():
        if error := next(turns):
            raise error

    with pytest.raises(KeyError):
        await recurring.recurring(work, every=0, on_state=lambda *state: states.append(state))
    assert states == [(False, "QueueUnavailable"), (True, ""), (False, "QueueUnavailable")]
