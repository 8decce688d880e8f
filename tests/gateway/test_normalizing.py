"""The workers: what crosses to them and back, how they end, and that they leave nothing behind."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import uvloop

from gateway import parts
from gateway.failures import FailedElsewhere, account, place
from gateway.normalizing import frames
from gateway.normalizing.pool import Limits, Normalizing, NoRoom
from gateway.normalizing.process import WorkerProcess
from gateway.settings import load
from normalizers.message import Incomplete, Malformed, Problem
from tests.gateway.toy import OUTSIDE, TOY, Note, normalize
from tests.support import until

HEAVY = Note(heavy=True)


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
async def pool(scratch):
    async with Normalizing(scratch, Limits(timeout=1.0)) as pool:
        yield pool
    assert list(scratch.iterdir()) == []


async def read(pool, note, channel=TOY):
    async with pool.normalized(channel, note) as messages:
        return tuple(messages)


def pids(pool):
    return [worker.pid for worker in pool.idle]


def alive(pid):
    return Path(f"/proc/{pid}").exists()


async def test_a_worker_says_what_the_normalizer_says(pool):
    note = msgspec.structs.replace(HEAVY, parts=3, files=(b"%PDF",))
    assert await read(pool, note) == tuple(normalize(note))


async def test_what_is_large_comes_back_as_files_that_go_when_they_were_looked_at(pool):
    photo, whole = b"\xff\xd8" * 50_000, bytes(range(256)) * 512
    async with pool.normalized(TOY, msgspec.structs.replace(HEAVY, content=whole, files=(photo,))) as messages:
        files = [Path(str(one.file)) for one in messages[0].attachments]
        assert [(file.read_bytes(), file.stat().st_mode & 0o077) for file in files] == [(photo, 0), (whole, 0)]
        assert all(one.content is None and one.pieces is None for one in messages[0].attachments)
    assert not any(file.exists() for file in files)


async def test_an_original_on_disk_is_opened_by_the_worker(pool, scratch):
    original = scratch / "original"
    original.write_bytes(b"x" * 70_000)
    async with pool.normalized(TOY, msgspec.structs.replace(HEAVY, file=str(original))) as messages:
        (file,) = messages[0].attachments
        assert Path(str(file.file)).read_bytes() == b"x" * 70_000
    original.unlink()


@pytest.mark.parametrize(("fault", "kind"), [("malformed", Malformed), ("incomplete", Incomplete)])
async def test_a_refusal_crosses_intact(pool, fault, kind):
    with pytest.raises(Malformed) as here:
        normalize(Note(fault=fault))
    with pytest.raises(Malformed) as there:
        await read(pool, Note(fault=fault))
    assert type(there.value) is kind
    assert there.value.problems == here.value.problems
    assert all(isinstance(problem, Problem) for problem in there.value.problems)


async def test_a_bug_crosses_with_its_place_and_its_account(pool):
    with pytest.raises(FailedElsewhere) as bug:
        await read(pool, Note(fault="bug"))
    assert place(bug.value).startswith("KeyError at toy.py:")
    assert account(bug.value).startswith(f"{place(bug.value)}\nTraceback")
    assert account(bug.value).count("KeyError at toy.py:") == 1


async def test_a_worker_is_kept_after_a_refusal_and_after_a_bug(pool):
    await read(pool, HEAVY)
    (first,) = pids(pool)
    for fault in ("malformed", "bug", "surrogate"):
        with pytest.raises((Malformed, FailedElsewhere)):
            await read(pool, Note(fault=fault))
    assert pids(pool) == [first]


@pytest.mark.parametrize(
    ("fault", "said"),
    [("hang", "not done after 1 s"), ("abort", "SIGABRT"), ("exit", "ended with 0"), ("memory", "MemoryError")],
)
async def test_a_worker_that_is_of_no_more_use_is_replaced(pool, fault, said):
    await read(pool, HEAVY)
    (first,) = pids(pool)
    with pytest.raises(FailedElsewhere) as failed:
        await read(pool, Note(fault=fault))
    assert said in account(failed.value)
    await until(lambda: not alive(first))
    await read(pool, HEAVY)
    assert first not in pids(pool)


async def test_a_worker_is_killed_when_nobody_waits_for_it_any_more(pool):
    await read(pool, HEAVY)
    (first,) = pids(pool)
    waiting = asyncio.create_task(read(pool, Note(fault="hang")))
    await until(lambda: not pids(pool))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not alive(first))
    assert await read(pool, HEAVY)


async def test_a_worker_that_died_idle_costs_no_payload(pool):
    await read(pool, HEAVY)
    (first,) = pids(pool)
    os.kill(first, 9)
    await until(lambda: not alive(first))
    assert await read(pool, HEAVY)


async def test_a_full_disk_is_told_from_a_bug(pool):
    with pytest.raises(NoRoom):
        await read(pool, Note(fault="disk"))


async def test_a_scratch_folder_that_is_gone_is_no_bug_either(tmp_path):
    async with Normalizing(tmp_path / "gone") as pool:
        with pytest.raises(NoRoom):
            await read(pool, HEAVY)


async def test_workers_end_with_the_pool_and_when_nothing_is_to_be_done(scratch):
    async with Normalizing(scratch, Limits(workers=2)) as pool:
        await asyncio.gather(read(pool, HEAVY), read(pool, HEAVY))
        both = pids(pool)
        assert len(both) == 2
    assert not any(alive(pid) for pid in both)
    async with Normalizing(scratch, idle=0.0) as pool:
        await read(pool, HEAVY)
        await until(lambda: not pids(pool))


async def test_no_more_workers_than_allowed(scratch):
    async with Normalizing(scratch, Limits(workers=1)) as pool:
        await asyncio.gather(*(read(pool, HEAVY) for _ in range(5)))
        assert len(pids(pool)) == 1


async def test_a_channel_without_names_for_its_parts_is_found_in_the_registry(pool, monkeypatch):
    monkeypatch.syspath_prepend(OUTSIDE)
    unnamed = replace(TOY, normalize=lambda note: ())
    assert await read(pool, HEAVY, unnamed) == tuple(normalize(HEAVY))


async def test_a_worker_has_none_of_the_secrets_of_its_parent(pool, monkeypatch):
    monkeypatch.setenv("GATEWAY_SECRET", "hunter2")
    await read(pool, HEAVY)
    (worker,) = pids(pool)
    environ = Path(f"/proc/{worker}/environ").read_bytes()
    assert b"PATH=" in environ
    assert b"hunter2" not in environ


async def test_its_limits_are_settings(tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text("normalizing: {workers: 3, timeout: 2s, memory: 512MiB}\nchannels: {}\n", encoding="utf-8")
    pool = parts.normalizing(load(file, environ={}), tmp_path)
    assert pool.limits == Limits(workers=3, timeout=2.0, memory=512 * 2**20)


async def test_a_signal_to_everybody_in_front_of_the_terminal_meets_no_worker(pool):
    await read(pool, HEAVY)
    assert os.getpgid(pids(pool)[0]) != os.getpgid(0)


async def test_a_payload_whose_worker_dies_before_it_begins_is_asked_of_another(pool, monkeypatch):
    real = WorkerProcess.start
    started: list[int] = []

    async def start(**limits):
        worker = await real(**limits)
        if not started:
            os.kill(worker.pid, signal.SIGKILL)
        started.append(worker.pid)
        return worker

    monkeypatch.setattr(WorkerProcess, "start", start)
    assert await read(pool, HEAVY) == tuple(normalize(HEAVY))
    assert pids(pool) == started[1:]


async def test_what_waits_for_its_turn_is_held_once(scratch, monkeypatch):
    asked: list[type] = []
    real = frames.encode

    def encode(what):
        asked.append(type(what))
        return real(what)

    monkeypatch.setattr(frames, "encode", encode)
    async with Normalizing(scratch, Limits(workers=1)) as pool:
        await pool._slots.acquire()
        waiting = [asyncio.create_task(read(pool, HEAVY)) for _ in range(20)]
        await until(lambda: len(list(scratch.iterdir())) == 20)
        assert asked == []
        pool._slots.release()
        assert await asyncio.gather(*waiting) == [tuple(normalize(HEAVY))] * 20


async def test_a_payload_whose_worker_was_killed_over_it_is_asked_of_another_once(pool, monkeypatch):
    real = WorkerProcess._hear
    killed: list[WorkerProcess] = []

    async def hear(worker):
        said = await real(worker)
        if said == frames.BEGUN and not killed:
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)
        return said

    monkeypatch.setattr(WorkerProcess, "_hear", hear)
    with pytest.raises(FailedElsewhere) as failed:
        await read(pool, Note(fault="hang"))
    assert (len(killed), place(failed.value)) == (1, "Overrun")


async def test_a_payload_that_kills_its_workers_is_asked_twice(pool, monkeypatch):
    real = WorkerProcess.start
    started: list[int] = []

    async def start(**limits):
        worker = await real(**limits)
        started.append(worker.pid)
        return worker

    monkeypatch.setattr(WorkerProcess, "start", start)
    with pytest.raises(FailedElsewhere, match="Crashed"):
        await read(pool, Note(fault="abort"))
    assert len(started) == 2


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_no_loop_makes_a_payload_pay_for_a_worker_that_died_idle(scratch, run):
    async def scene():
        async with Normalizing(scratch, Limits()) as pool:
            await read(pool, HEAVY)
            (first,) = pids(pool)
            os.kill(first, signal.SIGKILL)
            await until(lambda: not alive(first))
            return await read(pool, HEAVY)

    assert run(scene()) == tuple(normalize(HEAVY))
