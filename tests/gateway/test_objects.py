"""What every object store promises, kept by a folder and by a real S3 server; then what is special of the folder."""

import asyncio
import os
import resource
from hashlib import sha256
from pathlib import Path
from random import Random
from urllib.parse import unquote

import pytest

from gateway.objects import NoSuchObject, Objects, ObjectsUnavailable
from tests.gateway.s3_server import S3Server

LARGE = Random(1).randbytes(1000) * 6_000
"""More than one part of an upload."""


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path) -> Objects:
    if request.param == "folder":
        return Objects(tmp_path / "객체 store")
    s3: S3Server = request.getfixturevalue("s3")
    return Objects.from_url("s3://tickets/pre/fix", s3.options)


def read(uri: str) -> bytes:
    return Path(unquote(uri.removeprefix("file://"))).read_bytes()


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"mail", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("as_file", [False, True], ids=["bytes", "file"])
async def test_what_is_put_can_be_read_at_its_uri(store, tmp_path, content, as_file):
    file = tmp_path / "mail.eml"
    file.write_bytes(content)
    stored = await store.put(file if as_file else content, "raw")
    assert (stored.size, stored.sha256) == (len(content), sha256(content).hexdigest())
    assert await store.get(stored.uri) == content


async def test_the_same_content_has_the_same_address(store, tmp_path):
    (tmp_path / "file").write_bytes(LARGE)
    stored = [await store.put(content, "raw") for content in (LARGE, tmp_path / "file", LARGE)]
    assert len(set(stored)) == 1


async def test_it_is_found_by_kind_and_digest(store):
    stored = await store.put(b"mail", "attachments")
    assert await store.find("attachments", stored.sha256) == stored
    for kind, digest in (("raw", stored.sha256), ("attachments", "0" * 64)):
        with pytest.raises(NoSuchObject):
            await store.find(kind, digest)


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 1), (5, 700_000), (700_000, None), (5_999_999, None)])
async def test_a_part_of_it_can_be_read(store, start, end):
    stored = await store.put(LARGE, "raw")
    pieces = [piece async for piece in store.stream(stored.uri, start, end)]
    assert b"".join(pieces) == LARGE[start:end]


async def test_it_is_read_in_pieces(store):
    stored = await store.put(LARGE, "raw")
    sizes = [len(piece) async for piece in store.stream(stored.uri)]
    assert max(sizes) < 2_000_000


async def test_what_is_not_there_or_not_ours_is_told_from_a_store_that_fails(store):
    stored = await store.put(b"mail", "raw")
    gone = stored.uri.replace(stored.sha256, "0" * 64)
    outside = stored.uri.rpartition("/raw/")[0] + "/raw/../../../etc/passwd"
    for uri in (gone, outside, "file:///etc/passwd", "s3://other/raw/00/" + "0" * 64):
        with pytest.raises(NoSuchObject):
            await store.get(uri)


async def test_it_says_that_it_takes_something(store):
    assert await store.writable()


async def test_a_file_that_is_gone_says_so(store, tmp_path):
    with pytest.raises(ObjectsUnavailable, match="a file cannot be read"):
        await store.put(tmp_path / "gone", "raw")


async def test_many_at_once_that_are_the_same(store):
    stored = await asyncio.gather(*(store.put(LARGE, "raw") for _ in range(5)))
    assert len(set(stored)) == 1
    assert await store.get(stored[0].uri) == LARGE


async def test_the_same_content_is_stored_once_and_only_ours_to_read(tmp_path):
    store = Objects(tmp_path / "store")
    for _ in range(2):
        await store.put(b"mail", "raw")
    assert [path.stat().st_mode & 0o777 for path in files(tmp_path)] == [0o600]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "store").rglob("*") if path.is_dir()} == {0o700}


async def test_a_relative_url_is_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored = await Objects.from_url("file://var/objects").put(b"mail", "raw")
    assert stored.uri.startswith(tmp_path.as_uri() + "/var/objects/raw/")
    assert read(stored.uri) == b"mail"


async def test_what_is_kept_is_never_written_again(tmp_path):
    store = Objects(tmp_path)
    first = await store.put(b"mail", "raw")
    before = files(tmp_path)[0].stat()
    await store.put(b"mail", "raw")
    after = files(tmp_path)[0].stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert read(first.uri) == b"mail"


async def test_a_file_cut_short_by_a_power_cut_is_made_whole(tmp_path):
    store = Objects(tmp_path)
    stored = await store.put(b"mail", "raw")
    files(tmp_path)[0].write_bytes(b"")
    await store.put(b"mail", "raw")
    assert read(stored.uri) == b"mail"


async def test_it_has_its_name_only_when_it_is_whole_and_on_the_disk(tmp_path, monkeypatch):
    named_when_synced: list[bool] = []
    fsync = os.fsync

    def watching(descriptor: int) -> None:
        named_when_synced.append(any(path.parent.parent.name == "raw" for path in files(tmp_path)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watching)
    await Objects(tmp_path).put(b"mail", "raw")
    assert named_when_synced[0] is False
    assert named_when_synced[1:] == [True] * 3  # three folders


async def test_a_store_that_cannot_write_says_so_without_the_path(tmp_path):
    store = Objects(tmp_path)
    (tmp_path / "raw").write_text("in the way")
    with pytest.raises(ObjectsUnavailable) as caught:
        await store.put(b"mail", "raw")
    assert str(tmp_path) not in str(caught.value)


async def test_a_disk_that_is_full_is_told_and_keeps_no_half(tmp_path):
    store = Objects(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(ObjectsUnavailable, match="File too large"):
            await store.put(LARGE, "raw")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == []
    assert await store.get((await store.put(LARGE, "raw")).uri) == LARGE


def test_a_store_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ObjectsUnavailable):
        Objects(tmp_path / "file" / "below")


async def test_what_a_dead_process_left_is_swept_and_what_a_live_one_writes_is_not(tmp_path):
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    (arriving / "left").write_bytes(b"half")
    (arriving / "live").write_bytes(b"half")
    os.utime(arriving / "left", (0, 0))
    await Objects(tmp_path).put(b"mail", "raw")
    assert [path.name for path in arriving.iterdir()] == ["live"]


async def test_to_open_one_for_reading_writes_nothing(tmp_path):
    Objects(tmp_path)
    assert list(tmp_path.iterdir()) == []
