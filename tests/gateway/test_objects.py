from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import pytest

from gateway.objects import Objects, ObjectsUnavailable


def read(uri: str) -> bytes:
    return Path(unquote(uri.removeprefix("file://"))).read_bytes()


@pytest.mark.parametrize("content", [b"", b"mail", b"x" * 300_000])
async def test_what_is_put_can_be_read_at_its_uri(tmp_path, content):
    stored = await Objects(tmp_path / "객체 store").put(content, "raw")
    assert read(stored.uri) == content
    assert (stored.size, stored.sha256) == (len(content), sha256(content).hexdigest())


async def test_the_same_content_is_stored_once(tmp_path):
    objects = Objects(tmp_path)
    assert await objects.put(b"mail", "raw") == await objects.put(b"mail", "raw")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


async def test_a_relative_url_is_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored = await Objects.from_url("file://var/objects").put(b"mail", "raw")
    assert stored.uri.startswith(tmp_path.as_uri() + "/var/objects/raw/")


async def test_a_store_that_cannot_write_says_so_without_the_path(tmp_path):
    objects = Objects(tmp_path)
    (tmp_path / "raw").write_text("in the way")
    with pytest.raises(ObjectsUnavailable) as caught:
        await objects.put(b"mail", "raw")
    assert str(tmp_path) not in str(caught.value)


def test_a_store_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ObjectsUnavailable):
        Objects(tmp_path / "file" / "below")
