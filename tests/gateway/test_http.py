import asyncio
import io

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway import http
from gateway.health import Check, Health
from gateway.metrics import Metrics


async def broken(_: web.Request) -> web.Response:
    raise RuntimeError("password=hunter2 in /srv/secret")


async def slow(_: web.Request) -> web.Response:
    raise TimeoutError("secret.example")


async def hung_up(_: web.Request) -> web.Response:
    raise ConnectionResetError("10.0.0.7")


async def body(request: web.Request) -> web.Response:
    return web.json_response({"read": len(await request.read())})


@pytest.fixture
def health():
    return Health()


@pytest.fixture
async def client(aiohttp_client, health):
    routes = [web.post("", body), web.get("/broken", broken), web.get("/slow", slow), web.get("/hung-up", hung_up)]
    return await aiohttp_client(http.build({"toy": routes}, health=health, metrics=Metrics()))


async def test_the_routes_of_an_inbox_are_under_its_name(client):
    assert (await client.post("/channels/toy", data=b"four")).status == 200
    assert (await client.post("/channels/other", data=b"four")).status == 404


@pytest.mark.parametrize(
    ("path", "handler", "error"), [("/broken", "broken", "RuntimeError"), ("/slow", "slow", "TimeoutError")]
)
async def test_an_exception_is_a_fixed_500_and_its_text_goes_nowhere(client, path, handler, error):
    with capture_logs() as logs:
        answer = await client.get(f"/channels/toy{path}")
    said = await answer.text()
    assert (answer.status, answer.content_type) == (500, "application/problem+json")
    (line,) = logs
    assert (line["event"], line["route"], line["error"]) == ("request.failed", handler, error)
    for word in ("hunter2", "secret", "RuntimeError"):
        assert word not in said
    assert "hunter2" not in str(logs)


async def test_a_client_that_hangs_up_is_nobody_s_failure(client):
    with capture_logs() as logs:
        await client.get("/channels/toy/hung-up")
    assert logs == []


async def test_an_adapter_that_reads_without_a_limit_has_one_all_the_same(client):
    assert (await client.post("/channels/toy", data=io.BytesIO(b"x" * (2**20 + 1)))).status == 413


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/elsewhere", 404), ("DELETE", "/channels/toy", 405)])
async def test_every_refusal_is_a_problem_document(client, method, path, status):
    answer = await client.request(method, path)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert answer.headers["Server"] == "gateway"
    assert status != 405 or answer.headers["Allow"] == "POST"


async def test_what_cannot_be_parsed_is_not_quoted(client):
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"customer@acme.example secret\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.")
    assert b" 400 " in answer.splitlines()[0]
    assert b"customer" not in answer
    assert b"aiohttp" not in answer


async def test_ready_is_what_every_check_says(client, health):
    async def well() -> Check:
        return Check(True, "ok")

    async def ill() -> Check:
        return Check(False, "failing")

    health.add("queue", well)
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["checks"]) == (200, {"queue": "ok"})
    health.add("disk", ill)
    answer = await client.get("/readyz")
    assert (answer.status, (await answer.json())["checks"]) == (503, {"queue": "ok", "disk": "failing"})
    assert (await client.get("/livez")).status == 200


async def test_the_envelope_schema_is_served(client):
    schema = await (await client.get("/schemas/ticket-envelope-1.json")).json(content_type=None)
    assert "TicketEnvelope" in schema["$defs"]


async def test_metrics_are_prometheus_text(client):
    answer = await client.get("/metrics")
    assert answer.content_type == "text/plain"
    assert "gateway_publish_seconds_bucket" in await answer.text()
