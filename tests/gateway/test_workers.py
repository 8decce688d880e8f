"""Workers as processes: small ones here, that speak to their supervisor as a real one does."""

import asyncio
import os
import signal
import sys
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from gateway.workers.crew import Crew, StartFailed
from tests.support import until

PATIENCE = 30.0
CONNECT = """
import os, signal, sys, time
from multiprocessing.connection import Connection
supervisor = Connection(0)
told = supervisor.recv()
"""
SERVE = (
    CONNECT
    + """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
supervisor.send((told, os.getpid()))
while True: time.sleep(60)
"""
)
DEAF = (
    CONNECT
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
supervisor.send((told, os.getpid()))
while True: time.sleep(60)
"""
)
CUT_SHORT = SERVE.replace("sys.exit(0)", "sys.exit(1)")
UNREADY = (
    CONNECT
    + """
while True: time.sleep(60)
"""
)
MISCONFIGURED = "raise SystemExit(3)"


class Small:
    """A crew of scripts, one for each worker, and what it was asked for."""

    def __init__(self, *scripts: str) -> None:
        self.assigned: list[int] = []
        self.ended: list[int] = []
        self.crew = Crew(
            len(scripts),
            lambda number: [sys.executable, "-S", "-c", scripts[number - 1]],
            self._assign,
            on_end=self.ended.append,
        )

    async def start(self) -> tuple[str, int]:
        """What the first worker was told, and its process."""
        answer = await self.crew.start()
        assert isinstance(answer, tuple)
        return answer

    def _assign(self, number: int) -> str:
        self.assigned.append(number)
        return f"you are {number}"


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def of(logged, event):
    return [line for line in logged if line["event"] == event]


async def test_each_worker_gets_its_assignment_and_all_end_when_they_are_told():
    small = Small(SERVE, SERVE, SERVE)
    with capture_logs() as logged:
        said, _ = await small.start()
    assert said == "you are 1"
    assert sorted(small.assigned) == [1, 2, 3]
    pids = {line["worker"]: line["pid"] for line in of(logged, "worker.started")}
    assert set(pids) == {1, 2, 3}
    await small.crew.stop(PATIENCE)
    assert all(gone(pid) for pid in pids.values())
    assert sorted(small.ended) == [1, 2, 3]


async def test_a_worker_that_dies_is_started_again():
    small = Small(SERVE, SERVE)
    with capture_logs() as logged:
        _, pid = await small.start()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(of(logged, "worker.started")) == 3)
        await small.crew.stop(PATIENCE)
    (died,) = of(logged, "worker.died")
    assert (died["worker"], died["status"], died["log_level"]) == (1, -signal.SIGKILL, "error")
    assert small.ended[0] == 1
    assert small.assigned.count(1) == 2


async def test_a_worker_that_was_asked_to_stop_by_somebody_else_is_replaced_without_alarm():
    small = Small(SERVE)
    with capture_logs() as logged:
        _, pid = await small.start()
        os.kill(pid, signal.SIGTERM)
        await until(lambda: len(of(logged, "worker.started")) == 2)
        await small.crew.stop(PATIENCE)
    assert not of(logged, "worker.died")
    assert [line["log_level"] for line in of(logged, "worker.ended")] == ["info"]


async def test_pauses_grow_while_a_worker_dies_in_a_row():
    small = Small(SERVE, MISCONFIGURED)
    with capture_logs() as logged:
        await small.crew.start()
        await until(lambda: len(of(logged, "worker.died")) == 3)
        await small.crew.stop(PATIENCE)
    assert [line["again_in_s"] for line in of(logged, "worker.died")] == [0.1, 0.2, 0.4]


async def test_a_first_worker_that_cannot_start_ends_the_start_with_its_status():
    small = Small(MISCONFIGURED, SERVE)
    with pytest.raises(StartFailed) as caught:
        await small.crew.start()
    assert caught.value.status == 3
    assert small.assigned == [1]
    await small.crew.stop(PATIENCE)


async def test_a_worker_that_does_not_stop_is_killed_and_that_is_said():
    small = Small(DEAF, SERVE)
    _, pid = await small.start()
    with pytest.raises(TimeoutError):
        await small.crew.stop(0.2)
    assert gone(pid)
    assert sorted(small.ended) == [1, 2]


async def test_a_stop_that_is_cut_short_leaves_nobody():
    small = Small(DEAF)
    _, pid = await small.start()
    stopping = asyncio.create_task(small.crew.stop(PATIENCE))
    await asyncio.sleep(0)
    stopping.cancel()
    with suppress(asyncio.CancelledError):
        await stopping
    await until(lambda: small.ended == [1])
    assert gone(pid)


async def test_a_worker_that_cut_its_own_work_short_makes_the_stop_cut_short():
    small = Small(SERVE, CUT_SHORT)
    await small.crew.start()
    with pytest.raises(TimeoutError):
        await small.crew.stop(PATIENCE)


async def test_a_start_can_be_given_up():
    small = Small(UNREADY, SERVE)
    starting = asyncio.create_task(small.crew.start())
    await until(lambda: small.assigned == [1])
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    await small.crew.stop(PATIENCE)  # it was never ready: that it died of the signal is nothing cut short
    assert small.ended == [1]


async def test_a_worker_that_cannot_be_told_what_to_do_ends_the_start():
    command = [sys.executable, "-S", "-c", SERVE]
    unsendable = Crew(2, lambda _: command, lambda _: lambda: None, on_end=print)  # no lambda can be pickled
    with capture_logs() as logged, pytest.raises(StartFailed):
        await unsendable.start()
    assert [line["worker"] for line in of(logged, "worker.failed")] == [1]
    await unsendable.stop(PATIENCE)


async def test_a_command_that_is_not_there_ends_the_start(tmp_path):
    crew = Crew(2, lambda _: [str(tmp_path / "nothing")], str, on_end=lambda _: None)
    with capture_logs() as logged, pytest.raises(StartFailed):
        await crew.start()
    assert [line["error"] for line in of(logged, "worker.failed")] == ["FileNotFoundError"]
    await crew.stop(PATIENCE)
