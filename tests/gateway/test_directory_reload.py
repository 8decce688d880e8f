import asyncio

import pytest

from gateway.directory.file import FileSource
from gateway.directory.matching import question
from gateway.directory.options import Callbacks, FileOptions
from gateway.directory.watching import watching
from normalizers.message import Address
from tests.support import until

GOOD = "customer_id,tier,email\nC-1,free,a@b.example\n"
BETTER = "customer_id,tier,email\nC-1,premium,a@b.example\n"
BROKEN = "customer_id,tier,email\nC-1,gold,a@b.example\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text(GOOD)
    return path


@pytest.fixture
def told():
    return []


@pytest.fixture
def source(path, told):
    callbacks = Callbacks(on_reload=lambda *what: told.append(what), on_refuse=lambda *what: told.append(what))
    return FileSource(FileOptions(path=path, refresh=0.01), tiers=("premium", "free"), callbacks=callbacks)


def write(path, text):
    """As editors do: beside it, and then into its place."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


async def who(source):
    found = await source.find(question([Address("email", "a@b.example")]))
    return found.status, found.customer.tier if found.customer else None


async def settle(source):
    """One look sees the change, the next that it has settled."""
    await source.refresh()
    await source.refresh()


async def test_a_changed_file_is_read_again(source, path, told):
    before = (await source.find(question([Address("email", "a@b.example")]))).as_of
    write(path, BETTER)
    await settle(source)
    after = (await source.find(question([Address("email", "a@b.example")]))).as_of
    assert await who(source) == ("known", "premium")
    assert after > before
    assert told == [("file", 2, [])]


async def test_an_unchanged_file_is_not_read(source, told):
    await settle(source)
    assert told == []


async def test_a_file_that_is_still_written_is_left_alone(source, path, told):
    for part in ("customer_id,tier,email\n", "C-1,prem", "ium,a@b.example\n"):
        with path.open("a" if part != "customer_id,tier,email\n" else "w") as file:
            file.write(part)
        await source.refresh()
        assert await who(source) == ("known", "free")
    await source.refresh()
    assert await who(source) == ("known", "premium")
    assert len(told) == 1


async def test_a_broken_edit_keeps_the_last_good_one_and_says_so_once(source, path, told):
    write(path, BROKEN)
    await settle(source)
    await settle(source)
    assert await who(source) == ("stale", "free")
    assert told == [("file", ["customers.csv:2: tier: must be one of premium, free"])]


async def test_a_mended_file_is_known_again(source, path, told):
    write(path, BROKEN)
    await settle(source)
    write(path, BETTER)
    await settle(source)
    assert await who(source) == ("known", "premium")
    assert len(told) == 2


async def test_a_file_put_back_as_it_was_is_known_again(source, path):
    before = path.stat()
    kept = path.with_suffix(".kept")
    path.replace(kept)
    await settle(source)
    assert await who(source) == ("stale", "free")
    kept.replace(path)
    assert path.stat().st_ino == before.st_ino
    await settle(source)
    assert await who(source) == ("known", "free")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "customers.csv:1: is empty: "),
        ("customer_id,tier,email\n", "customers.csv: names no customer any more"),
        (None, "customers.csv: cannot be read: No such file"),
    ],
)
async def test_a_file_that_lost_everything_is_taken_for_a_broken_edit(source, path, told, text, fault):
    path.unlink() if text is None else write(path, text)
    await settle(source)
    assert await who(source) == ("stale", "free")
    ((_, (said,)),) = told
    assert said.startswith(fault)


async def test_the_watch_sees_a_change_and_ends_with_its_block(source, path, told):
    async with watching(source):
        write(path, BETTER)
        await until(lambda: bool(told))
    assert await who(source) == ("known", "premium")
    assert [task for task in asyncio.all_tasks() if task.get_name() == "directory file"] == []
