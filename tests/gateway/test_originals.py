"""Originals go into the object store and come back."""

from pathlib import Path

import pytest

from gateway.objects import Objects, ObjectsUnavailable
from gateway.originals import Originals, named, place_of
from normalizers.email import MailPayload
from normalizers.web_form import FormPayload

FORM = FormPayload(body=b"{}", media_type="application/json", submission_id="s-1")


async def test_a_payload_is_named_and_comes_back(tmp_path):
    objects = Objects(tmp_path / "objects")
    kept = await objects.put(b"the mail" * 100_000, "raw")
    payload = named(MailPayload(content=b"the mail" * 100_000, recipients=("a@b.kr",)), kept.uri)
    assert (place_of(payload), payload.content, payload.recipients) == (kept.uri, b"", ("a@b.kr",))
    async with Originals(objects, tmp_path).back(payload) as back:
        file = Path(str(place_of(back)))
        assert file.read_bytes() == b"the mail" * 100_000
        assert back.recipients == ("a@b.kr",)
    assert not file.exists()


async def test_a_payload_that_holds_all_there_is_stays_as_it_is(tmp_path):
    async with Originals(Objects(tmp_path / "objects"), tmp_path).back(MailPayload(content=b"hi")) as back:
        assert back == MailPayload(content=b"hi")


def test_a_payload_that_cannot_name_an_original_stays_as_it_is():
    assert (place_of(FORM), named(FORM, "file:///raw/1")) == (None, FORM)


@pytest.mark.parametrize("place", ["/etc/passwd", "file:///etc/passwd", "../raw/1", "s3://elsewhere/raw/1"])
async def test_nothing_but_the_store_is_read(tmp_path, place):
    originals = Originals(Objects(tmp_path / "objects"), tmp_path)
    with pytest.raises(ObjectsUnavailable):
        async with originals.back(MailPayload(content=b"", file=place)):
            raise AssertionError


async def test_an_original_that_is_gone_is_told(tmp_path):
    objects = Objects(tmp_path / "objects")
    kept = await objects.put(b"the mail", "raw")
    Path(kept.uri.removeprefix("file://")).unlink()
    with pytest.raises(ObjectsUnavailable):
        async with Originals(objects, tmp_path).back(MailPayload(content=b"", file=kept.uri)):
            raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["objects"]
