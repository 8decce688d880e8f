"""The spool file through kill -9, torn writes, damage, neighbours and full disks."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.identity import digest16
from gateway.queue.entry import Published
from gateway.queue.spool import salvage
from gateway.queue.spool.file import SpoolFile
from gateway.queue.spool.spool import Spool, SpoolLimits, SpoolUnavailable, open_spool
from tests.gateway.publishing import entry

ROOT = Path(__file__).parents[2]
ROOMY = SpoolLimits(min_free=0)

# Spools batch after batch and says so after each; it never ends by itself.
SPOOLER = """
import asyncio, sys
from pathlib import Path
from gateway.queue.spool.spool import SpoolLimits, open_spool
from gateway.queue.spool.file import SpoolFile
from gateway.identity import digest16
from tests.gateway.publishing import entry

async def main(folder, name):
    async with open_spool(Path(folder), limits=SpoolLimits(min_free=0)) as spool:
        n = 0
        while True:
            batch = [entry(f"{name}-{n + i}") for i in range(7)]
            await spool.append(batch)
            n += len(batch)
            print(n, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def spooler(folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SPOOLER, str(folder), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def kill_after(process: subprocess.Popen[str], batches: int) -> int:
    """Kill it once it has reported so many; how many entries it said were kept by then."""
    assert process.stdout is not None
    for _ in range(batches):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    said = process.stdout.read().split() or [str(batches * 7)]
    process.stdout.close()
    process.wait()
    return int(said[-1])


async def kept(spool: Spool) -> list[str]:
    rows = await spool.peek(0, most=1_000_000)
    return [str(row.entry.fields[1]) for row in rows if row.entry is not None]


def _file(spool: Spool) -> SpoolFile:
    assert spool._file is not None
    return spool._file


async def test_entries_come_back_as_they_went_in_and_in_order(tmp_path):
    entries = [entry(f"{n}", tier="premium", fingerprint="a", conversation=f"c{n % 2}", size=9) for n in range(5)]
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        assert await spool.append(entries) == [Published.NEW] * 5
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        rows = await spool.peek(0, most=10)
        assert [row.entry for row in rows] == entries
        assert (spool.entries, len(spool.conversations)) == (5, 2)
        await spool.remove(rows[:3])
        assert [row.entry for row in await spool.peek(0, most=10)] == entries[3:]
        assert spool.oldest_at is not None
        await spool.remove(rows[3:])
        assert (spool.entries, spool.bytes, len(spool.conversations)) == (0, 0, 0)
        assert not spool.oldest_at


async def test_twenty_kills_lose_nothing_that_was_said_to_be_kept(tmp_path):
    picks = random.Random(5)
    said = {}
    for n in range(20):
        name = f"run{n}"
        said[name] = kill_after(spooler(tmp_path, name), picks.randrange(1, 6))
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.adopt()
        found = await kept(spool)
    assert len(found) == len(set(found))
    for name, count in said.items():
        assert {f"{name}-{n}" for n in range(count)} <= set(found)


async def test_a_torn_tail_is_cut_and_whole_batches_before_it_stay(tmp_path):
    folder = tmp_path / "whole"
    kill_after(spooler(folder, "run"), 20)
    log = folder / "spool-0.sqlite3-wal"
    size = log.stat().st_size
    for cut in (0, 1, 31, 32, 33, 4096, size // 3, size // 2, size - 4097, size - 100, size - 1):
        torn = tmp_path / f"torn-{cut}"
        shutil.copytree(folder, torn)
        os.truncate(torn / log.name, cut)
        async with open_spool(torn, limits=ROOMY) as spool:
            found = await kept(spool)
            assert found == [f"run-{n}" for n in range(len(found))]
            assert len(found) % 7 == 0
            assert await spool.append([entry("after")]) == [Published.NEW]


async def test_what_living_neighbours_have_is_left_alone_and_what_dead_ones_left_is_taken_over(tmp_path):
    neighbour = spooler(tmp_path, "neighbour")
    assert neighbour.stdout is not None
    neighbour.stdout.readline()
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.adopt()
        assert spool.entries == 0
        count = kill_after(neighbour, 1)
        await spool.adopt()
        found = await kept(spool)
        assert found == [f"neighbour-{n}" for n in range(len(found))]
        assert len(found) >= count
        assert spool.entries == len(found)
        assert not (tmp_path / "spool-0.sqlite3").exists()


async def test_what_two_have_is_taken_over_once(tmp_path):
    async with open_spool(tmp_path, limits=ROOMY) as first:
        async with open_spool(tmp_path, limits=ROOMY) as second:
            await second.append([entry("1"), entry("2")])
            await first.append([entry("1")])
        await first.adopt()
        assert await kept(first) == ["1", "2"]


async def test_a_damaged_file_is_set_aside_and_said(tmp_path):
    (tmp_path / "spool-0.sqlite3").write_bytes(b"not a database at all" * 1000)
    told: list[str] = []
    async with open_spool(tmp_path, limits=ROOMY, on_event=lambda event, _: told.append(event)) as spool:
        assert await spool.append([entry("1")]) == [Published.NEW]
    assert told == ["spool.damaged", "spool.started"]
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes().startswith(b"not a database")


async def test_a_disk_that_fills_up_refuses_and_can_still_be_drained(tmp_path):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry(str(n)) for n in range(50)])
        # A limit of the file's pages is, to SQLite, a full disk.
        pages = _file(spool)._db.execute("PRAGMA page_count").fetchone()[0]
        _file(spool)._db.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(SpoolUnavailable):
            await spool.append([entry(f"more {n}") for n in range(1000)])
        rows = await spool.peek(0, most=10_000)
        assert spool.entries == len(rows)
        await spool.remove(rows)
        assert await spool.append([entry("again")]) == [Published.NEW]


async def test_a_folder_that_cannot_be_used_says_which(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolUnavailable, match="file"):
        async with open_spool(tmp_path / "file"):
            pass


async def test_an_empty_spool_leaves_no_ballast_behind(tmp_path):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        assert (tmp_path / "spool-0.ballast").stat().st_size >= 2**20
        await spool.append([entry("1")])
        await spool.remove(await spool.peek(0, most=1))
    assert not (tmp_path / "spool-0.ballast").exists()
    assert sqlite3.connect(tmp_path / "spool-0.sqlite3").execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("page", range(3, 9))  # the second is the root: without it there are no others
async def test_a_damaged_page_costs_what_stood_on_it_and_no_more(tmp_path, page):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry(str(n)) for n in range(300)])
    path = tmp_path / "spool-0.sqlite3"
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(range(256)) * 16)
    told: list[str] = []
    async with open_spool(tmp_path, limits=ROOMY, on_event=lambda event, _: told.append(event)) as spool:
        found = await kept(spool)
        assert await spool.append([entry("after")]) == [Published.NEW]
        assert await spool.writable()
    assert "spool.damaged" in told
    assert len(found) >= 150
    assert len(found) == len(set(found))
    assert len([*tmp_path.glob("*.damaged-*")]) >= 1


async def test_damage_while_it_runs_is_survived(tmp_path):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry(str(n)) for n in range(300)])
        await spool.remove(await spool.peek(0, most=1))
        path = tmp_path / "spool-0.sqlite3"
        _file(spool)._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.write(b"not a database any more" * 400)
        answers = []
        for n in range(5):
            try:
                answers += await spool.append([entry(f"after {n}")])
            except SpoolUnavailable:
                continue
        assert answers
        assert (await kept(spool))[-1] == "after 4"


async def test_files_of_others_in_the_folder_are_none_of_its_business(tmp_path):
    (tmp_path / "spool-0-copy.sqlite3").write_bytes(b"an operator's copy")
    (tmp_path / "notes.txt").write_text("mind the gap")
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        assert await spool.append([entry("1")]) == [Published.NEW]
        await spool.adopt()
    assert (tmp_path / "spool-0-copy.sqlite3").read_bytes() == b"an operator's copy"


async def test_what_was_left_stands_before_anything_new(tmp_path):
    async with open_spool(tmp_path, limits=ROOMY), open_spool(tmp_path, limits=ROOMY) as second:
        await second.append([entry("1", conversation="a")])
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry("2", conversation="a")])
        assert await kept(spool) == ["1", "2"]


async def test_the_bound_is_of_the_room_that_all_files_take(tmp_path):
    limits = SpoolLimits(max_bytes=2_000_000, min_free=0)
    async with open_spool(tmp_path, limits=limits) as spool:
        for n in range(200):
            if not await spool.writable():
                break
            await spool.append([entry(f"{n}-{m}", conversation="x" * 1500) for m in range(50)])
        with pytest.raises(SpoolUnavailable, match="full"):
            await spool.append([entry("one too many")])
        size = sum(file.stat().st_size for file in tmp_path.glob("spool-0.sqlite3*"))
        assert 1_500_000 < size < 6_000_000  # the log of the last transactions included
        async with open_spool(tmp_path, limits=limits) as neighbour:
            with pytest.raises(SpoolUnavailable, match="full"):
                await neighbour.append([entry("another")])


async def test_damage_met_by_a_reader_is_mended_under_the_numbers_that_are_in_use(tmp_path):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry(str(n)) for n in range(600)])
        in_hand = (await spool.peek(0, most=600))[:100]
        _file(spool)._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        path = tmp_path / "spool-0.sqlite3"
        with path.open("r+b") as file:
            file.seek(9 * 4096)
            file.write(bytes(range(256)) * 16)
        _file(spool)._db.execute("PRAGMA shrink_memory")
        found = await kept(spool)
        assert 300 < len(found) < 600
        await spool.remove(in_hand)
        assert await kept(spool) == found[100:]
        assert spool.entries == len(found) - 100 == sum(spool.conversations.values())


async def test_a_salvage_that_is_interrupted_is_begun_again(tmp_path, monkeypatch):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry(str(n)) for n in range(300)])
    with (tmp_path / "spool-0.sqlite3").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(bytes(range(256)) * 16)

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(salvage, "_write", full)
        with pytest.raises(SpoolUnavailable):
            async with open_spool(tmp_path, limits=ROOMY):
                pass
    told: list[str] = []
    async with open_spool(tmp_path, limits=ROOMY, on_event=lambda event, _: told.append(event)) as spool:
        assert len(await kept(spool)) >= 150
    assert told[0] == "spool.damaged"


async def test_a_flipped_bit_spoils_one_row_at_most(tmp_path):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry("1"), entry("2"), entry("3")])
    with sqlite3.connect(tmp_path / "spool-0.sqlite3") as db:
        (content,) = db.execute("SELECT entry FROM entries WHERE seq=2").fetchone()
    for bit in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        with db:
            db.execute("UPDATE entries SET entry=? WHERE seq=2", (bytes(flipped),))
        rows = SpoolFile(tmp_path / "spool-0.sqlite3", 1)
        try:
            found = rows.peek(0, after=0, most=3, most_bytes=10**6)
        finally:
            rows.close()
        assert [row.entry.mark for row in (found[0], found[2]) if row.entry] == [digest16("1"), digest16("3")]
    db.close()


async def test_a_neighbours_file_that_cannot_be_opened_is_said_and_keeps_nobody_from_starting(tmp_path):
    (tmp_path / "spool-1.sqlite3").mkdir()
    told: list[str] = []
    async with open_spool(tmp_path, limits=ROOMY, on_event=lambda event, _: told.append(event)) as spool:
        await spool.adopt()
        assert await spool.append([entry("1")]) == [Published.NEW]
    assert told == ["spool.left", "spool.started"]


async def test_a_salvage_cut_short_at_any_step_loses_nothing(tmp_path, monkeypatch):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry(str(n)) for n in range(300)])
    with (tmp_path / "spool-0.sqlite3").open("r+b") as file:
        file.seek(5 * 4096)
        file.write(bytes(range(256)) * 16)
    real = Path.rename
    for cut in range(1, 5):
        left = iter(range(cut))

        def dies(self: Path, target: Path, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise OSError("killed")
            return real(self, target)

        with monkeypatch.context() as patch, suppress(SpoolUnavailable):
            patch.setattr(Path, "rename", dies)
            async with open_spool(tmp_path, limits=ROOMY):
                pass
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        assert len(await kept(spool)) >= 250


@pytest.mark.parametrize(
    "wrong", ["conversation=NULL", "conversation='x'", "mark='text'", "size='x'", "entry=7", "spooled_at=NULL", "seq=2"]
)
async def test_a_row_with_something_else_in_a_column_costs_itself_alone(tmp_path, wrong):
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        await spool.append([entry(str(n)) for n in range(9)])
    with sqlite3.connect(tmp_path / "spool-0.sqlite3") as db:
        db.execute("DELETE FROM entries WHERE seq=2")
        db.execute("PRAGMA writable_schema=ON")
        db.execute("UPDATE sqlite_schema SET sql=replace(sql, ' NOT NULL', '')")
        db.execute("PRAGMA writable_schema=RESET")
        db.execute(f"UPDATE entries SET {wrong} WHERE seq=5")
    db.close()
    async with open_spool(tmp_path, limits=ROOMY) as spool:
        found = await kept(spool)
        assert {"0", "2", "3", "5", "6", "7", "8"} <= set(found)
        assert await spool.append([entry("after")]) == [Published.NEW]
