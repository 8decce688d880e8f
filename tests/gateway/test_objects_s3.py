"""Objects in a bucket of a real S3 server."""

import socket
from pathlib import Path
from random import Random

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.api import Outcome
from gateway.doctor import objects as doctor
from gateway.envelope import decode
from gateway.objects import Objects, ObjectsUnavailable, objects, remote
from gateway.settings import load
from tests.gateway.s3_server import S3Server
from tests.gateway.test_pipeline import build
from tests.gateway.toy import Note

LARGE = Random(1).randbytes(1000) * 6_000
"""More than one part of an upload."""


async def test_the_uri_names_bucket_and_prefix(s3):
    stored = await Objects.from_url("s3://tickets/pre/fix/", s3.options).put(b"mail", "raw")
    assert stored.uri == f"s3://tickets/pre/fix/raw/{stored.sha256[:2]}/{stored.sha256}"


async def test_the_environment_says_what_the_settings_do_not(s3, monkeypatch):
    for name, value in (("ACCESS_KEY_ID", "who"), ("SECRET_ACCESS_KEY", "secret"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    stored = await Objects.from_url("s3://tickets", {"endpoint": s3.endpoint}).put(b"mail", "raw")
    assert await Objects.from_url("s3://tickets", s3.options).get(stored.uri) == b"mail"


@pytest.mark.parametrize("content", [b"mail", LARGE], ids=["small", "large"])
async def test_what_is_kept_is_never_written_again(s3, tmp_path, content):
    store = remote.Remote("s3://tickets", s3.options)
    (tmp_path / "file").write_bytes(content)
    await store.put("raw/aa/x", tmp_path / "file", len(content))
    before = await store._store.head_async("raw/aa/x")
    assert before["version"]
    await store.put("raw/aa/x", tmp_path / "file", len(content))
    assert await store._store.head_async("raw/aa/x") == before


async def test_another_who_writes_the_same_and_may_yet_fail_is_not_relied_upon():
    kept: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.method == "PUT":
            await request.read()
            if "If-None-Match" in request.headers:
                return web.Response(status=409, text="<Error><Code>ConditionalRequestConflict</Code></Error>")
            kept.append(request.path)
        return web.Response(status=200 if request.path in kept else 404, headers={"ETag": '"x"'})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        options = {**S3Server.access, "endpoint": str(server.make_url("")).rstrip("/")}
        stored = await Objects.from_url("s3://tickets", options).put(b"mail", "raw")
    assert kept == [stored.uri.replace("s3://", "/")]


@pytest.mark.parametrize("option", ["virtual_hosted_style_request", "s3_express"])
async def test_a_wrong_option_is_refused_without_its_value(option):
    with pytest.raises(ObjectsUnavailable) as caught:
        Objects.from_url("s3://tickets", {option: "between-us"})
    assert "between-us" not in str(caught.value)


async def test_a_store_that_knows_no_conditions_is_asked_first(s3):
    store = Objects.from_url("s3://tickets", {**s3.options, "conditional_put": "disabled"})
    for _ in range(2):
        stored = await store.put(b"mail", "raw")
    assert await store.get(stored.uri) == b"mail"


async def test_no_bucket(s3):
    with pytest.raises(ObjectsUnavailable, match=r"^there is no such bucket$"):
        await Objects.from_url("s3://nowhere", s3.options).put(b"mail", "raw")
    assert not await Objects.from_url("s3://nowhere", s3.options).writable()


async def test_wrong_credentials(s3):
    store = Objects.from_url("s3://tickets", s3.options)
    stored = await store.put(b"mail", "raw")
    with s3.refusing():
        for asked in (store.put(b"other", "raw"), store.get(stored.uri), store.find("raw", stored.sha256)):
            with pytest.raises(ObjectsUnavailable, match=r"^it refuses these credentials$"):
                await asked
        assert not await store.writable()


async def test_a_server_that_is_away_and_comes_back(monkeypatch):
    monkeypatch.setattr(remote, "PROBE_EVERY", 0.0)
    server = S3Server()
    store = Objects.from_url("s3://tickets", server.options)
    with pytest.raises(ObjectsUnavailable, match=r"^it cannot be reached, or fails$"):
        await store.put(b"mail", "raw")
    assert not await store.writable()
    server.start()
    try:
        assert (await store.put(b"mail", "raw")).size == 4
        assert await store.writable()
    finally:
        server.stop()


async def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(objects, "TIMEOUT", 0.1)
    monkeypatch.setattr(remote, "PROBE_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = S3Server.access | {"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        store = Objects.from_url("s3://tickets", options)
        for asked in (store.put(b"mail", "raw"), store.find("raw", "0" * 64)):
            with pytest.raises(ObjectsUnavailable, match=r"^it does not answer$"):
                await asked
        assert not await store.writable()


async def test_readiness_asks_now_and_then_only(s3):
    store = Objects.from_url("s3://tickets", s3.options)
    assert await store.writable()
    with s3.refusing():
        assert await store.writable()


async def test_no_secret_is_in_what_is_said(s3):
    with s3.refusing(), pytest.raises(ObjectsUnavailable) as caught:
        await Objects.from_url("s3://tickets", s3.options).put(b"mail", "raw")
    assert not {"secret", "who", s3.endpoint} & set(str(caught.value).split())


async def look(tmp_path: Path, server: S3Server, bucket: str = "tickets") -> tuple[str, str]:
    file = tmp_path / "gateway.yaml"
    options = {name: value for name, value in server.access.items() if name != "region"}
    file.write_text(
        f"objects: {{url: s3://{bucket}, endpoint: '{server.endpoint}', region: us-east-1, options: {options}}}"
    )
    (finding,) = await doctor.check(load(file, environ={}))
    return finding.level, finding.what


async def test_a_bucket_that_is_well(s3, tmp_path):
    assert await look(tmp_path, s3) == ("ok", "s3://tickets can be written to and read")


async def test_a_bucket_that_is_not(s3, tmp_path):
    level, what = await look(tmp_path, s3, "nowhere")
    assert (level, what.partition(": ")[2]) == ("failing", "there is no such bucket. Mail is deferred")
    with s3.refusing():
        level, what = await look(tmp_path, s3)
    assert (level, what.partition(": ")[2]) == ("failing", "it refuses these credentials. Mail is deferred")
    level, what = await look(tmp_path, S3Server())
    assert (level, what.partition(": ")[2]) == ("failing", "it cannot be reached, or fails. Mail is deferred")


async def test_a_message_whose_file_cannot_be_kept_is_deferred_and_taken_when_it_can(publisher, redis, tmp_path):
    server = S3Server()
    store = Objects.from_url("s3://tickets/desk", server.options)
    intake = build(publisher, tmp_path, objects=store)
    note = Note(files=(b"%PDF-1.7",))
    assert (await intake(note)).outcome is Outcome.DEFERRED
    assert await redis.exists("{tickets}:premium", "{tickets}:dead") == 0
    server.start()
    try:
        assert (await intake(note)).outcome is Outcome.ACCEPTED
        ((_, fields),) = await redis.xrange("{tickets}:premium")
        (attachment,) = decode(fields[b"event"]).data.attachments
        assert attachment.uri is not None
        assert attachment.uri.startswith("s3://tickets/desk/attachments/")
        assert await store.get(attachment.uri) == b"%PDF-1.7"
    finally:
        server.stop()
