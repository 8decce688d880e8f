from hashlib import sha256
from random import Random

import pytest
from aiohttp import ClientPayloadError
from structlog.testing import capture_logs

from gateway import downloads, http
from gateway.health import Health
from gateway.metrics import Metrics
from gateway.objects import Objects, ObjectsUnavailable

TOKEN = "a-token-of-the-core"
READERS = {"other": sha256(b"other").hexdigest(), "core": sha256(TOKEN.encode()).hexdigest()}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CONTENT = Random(1).randbytes(1000) * 700


@pytest.fixture
def objects(tmp_path):
    return Objects(tmp_path / "objects")


@pytest.fixture
async def client(aiohttp_client, objects):
    more = downloads.routes(objects, READERS)
    return await aiohttp_client(http.build({}, health=Health(), metrics=Metrics(), more=more))


@pytest.fixture
async def path(objects):
    stored = await objects.put(CONTENT, "attachments")
    return f"/objects/attachments/{stored.sha256}"


async def test_a_reader_gets_what_is_kept(client, objects, path):
    answer = await client.get(path, headers=BEARER)
    assert (answer.status, await answer.read()) == (200, CONTENT)
    raw = await objects.put(b"mail", "raw")
    answer = await client.get(f"/objects/raw/{raw.sha256}", headers={"Authorization": "bearer other"})
    assert await answer.read() == b"mail"


async def test_no_browser_shows_runs_or_keeps_it(client, path):
    answer = await client.get(path, headers=BEARER)
    said = answer.headers
    assert said["Content-Type"] == "application/octet-stream"
    assert said["X-Content-Type-Options"] == "nosniff"
    assert said["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert said["Cache-Control"] == "no-store"
    assert said["Content-Disposition"] == "attachment; filename=\"download\"; filename*=UTF-8''download"


@pytest.mark.parametrize(
    ("name", "plain", "full"),
    [
        ("report.pdf", "report.pdf", "report.pdf"),
        ("영수증.pdf", "___.pdf", "%EC%98%81%EC%88%98%EC%A6%9D.pdf"),
        ("../../etc/passwd", "passwd", "passwd"),
        ('a"; filename=x.exe\r\nSet-Cookie: a=b', "a__ filename_x.exe Set-Cookie_ a_b", None),
        ("100%.txt", "100_.txt", "100%25.txt"),
        ("", "download", "download"),
    ],
)
async def test_the_name_is_the_reader_s_choice_and_never_more_than_a_name(client, path, name, plain, full):
    answer = await client.get(path, params={"name": name}, headers=BEARER)
    said = answer.headers["Content-Disposition"]
    assert said.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert full is None or said.endswith(f"''{full}")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {TOKEN}"}],
)
async def test_nobody_else_gets_anything_nor_hears_what_is_there(client, path, headers):
    with capture_logs() as logs:
        answers = [await client.get(where, headers=headers) for where in (path, f"/objects/raw/{'0' * 64}")]
    assert [answer.status for answer in answers] == [401, 401]
    assert [answer.headers["WWW-Authenticate"] for answer in answers] == ["Bearer"] * 2
    assert [line["event"] for line in logs] == ["object.refused"] * 2
    assert "wrong" not in str(logs)


async def test_who_read_is_in_the_log(client, path):
    with capture_logs() as logs:
        await client.get(path, params={"name": "김민수.pdf"}, headers=BEARER)
    (line,) = logs
    assert (line["event"], line["reader"], line["kind"]) == ("object.read", "core", "attachments")
    assert TOKEN not in str(logs)
    assert "김민수" not in str(logs)


@pytest.mark.parametrize(
    "path", ["/objects/payloads/" + "0" * 64, "/objects/raw/0", "/objects/raw/" + "G" * 64, "/objects/raw/../raw/x"]
)
async def test_nothing_else_is_given(client, objects, path):
    assert (await client.get(path, headers=BEARER)).status == 404


async def test_what_is_not_there_is_404(client):
    assert (await client.get("/objects/raw/" + "0" * 64, headers=BEARER)).status == 404


async def test_without_readers_there_is_no_such_address(aiohttp_client, objects, path):
    app = http.build({}, health=Health(), metrics=Metrics(), more=downloads.routes(objects, {}))
    assert (await (await aiohttp_client(app)).get(path, headers=BEARER)).status == 404


async def test_head_says_the_size(client, path):
    answer = await client.head(path, headers=BEARER)
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert await answer.read() == b""
    assert (await client.head(path)).status == 401
    assert (await client.post(path, headers=BEARER)).status == 405


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=300000-600000", 206, 300_000, 600_001),
        ("bytes=699990-", 206, 699_990, 700_000),
        ("bytes=-10", 206, 699_990, 700_000),
        ("bytes=5-9999999", 206, 5, 700_000),
        ("bytes=0-", 200, 0, 700_000),
        ("bytes=1-2,4-5", 200, 0, 700_000),
        ("lines=1-2", 200, 0, 700_000),
    ],
)
async def test_a_range_of_it(client, path, asked, status, start, end):
    answer = await client.get(path, headers=BEARER | {"Range": asked})
    assert (answer.status, await answer.read()) == (status, CONTENT[start:end])
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/700000"


async def test_a_range_beyond_its_end(client, path):
    answer = await client.get(path, headers=BEARER | {"Range": "bytes=700000-"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */700000")


async def test_an_empty_one(client, objects):
    stored = await objects.put(b"", "attachments")
    answer = await client.get(f"/objects/attachments/{stored.sha256}", headers=BEARER)
    assert (answer.status, await answer.read()) == (200, b"")


async def test_a_store_that_is_away_is_come_again(client, objects, path, monkeypatch):
    async def away(*_):
        raise ObjectsUnavailable("it does not answer")

    monkeypatch.setattr(objects, "find", away)
    answer = await client.get(path, headers=BEARER)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")


async def test_a_store_that_breaks_off_does_not_pass_for_the_whole(client, objects, path, monkeypatch):
    async def breaking(*_):
        yield CONTENT[:1000]
        raise ObjectsUnavailable("it does not answer")

    monkeypatch.setattr(objects, "stream", breaking)
    with pytest.raises((ClientPayloadError, ConnectionError)):
        await (await client.get(path, headers=BEARER)).read()
