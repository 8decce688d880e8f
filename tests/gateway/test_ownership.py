import asyncio
import signal
import subprocess
import sys
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from gateway.ownership import Owner, on_duty

PATIENCE = 20.0
HOLD = """
import asyncio, sys
from pathlib import Path
from gateway.ownership import Owner

async def hold():
    async with Owner(Path(sys.argv[1])).held():
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


def owner(folder):
    return Owner(folder, look_again=0.01)


async def test_there_is_one_owner_and_the_next_takes_over_when_it_leaves(tmp_path):
    second = asyncio.Event()

    async def wait_in_line():
        async with owner(tmp_path).held():
            second.set()

    async with owner(tmp_path).held():
        waiting = asyncio.create_task(wait_in_line())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(second.wait(), 0.1)
    await asyncio.wait_for(waiting, PATIENCE)
    assert second.is_set()


async def test_another_takes_over_from_an_owner_that_was_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), owner(tmp_path).held():
                pass
        process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(PATIENCE), owner(tmp_path).held():
        pass


async def test_duties_run_in_one_process_at_a_time_and_move_with_ownership(tmp_path):
    running: list[str] = []
    started = {"first": asyncio.Event(), "second": asyncio.Event()}

    def duty(name):
        async def work():
            running.append(name)
            started[name].set()
            try:
                await asyncio.Event().wait()
            finally:
                running.remove(name)

        return work

    async with AsyncExitStack() as first:
        await first.enter_async_context(on_duty(owner(tmp_path), duty("first")))
        await asyncio.wait_for(started["first"].wait(), PATIENCE)
        async with on_duty(owner(tmp_path), duty("second")):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(started["second"].wait(), 0.1)
            assert running == ["first"]
            await first.aclose()
            await asyncio.wait_for(started["second"].wait(), PATIENCE)
            assert running == ["second"]
    assert running == []


async def test_a_duty_that_fails_is_begun_again_and_said_once_and_the_others_go_on(tmp_path):
    failures, enough, steady = 0, asyncio.Event(), 0

    async def failing():
        nonlocal failures
        failures += 1
        if failures == 3:
            enough.set()
        raise RuntimeError("of a customer called Kim")

    async def other():
        nonlocal steady
        steady += 1
        await asyncio.Event().wait()

    with capture_logs() as logged:
        async with on_duty(owner(tmp_path), failing, other):
            await asyncio.wait_for(enough.wait(), PATIENCE)
    assert steady == 1
    (said,) = (line for line in logged if line["event"] == "duty.crashed")
    assert (said["log_level"], said["error"]) == ("error", "RuntimeError")
    assert said["duty"].endswith("failing")
    assert "Kim" not in str(logged)


async def test_a_directory_that_cannot_be_used_is_said_once_and_tried_again(tmp_path):
    place = tmp_path / "place"
    place.write_text("not a directory")
    with capture_logs() as logged:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), owner(place).held():
                pass
        assert [line["event"] for line in logged] == ["duties.failed"]
    place.unlink()
    async with asyncio.timeout(PATIENCE), owner(place).held():
        assert (place / "owner.lock").exists()
