import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway import http
from gateway.health import Health
from gateway.metrics import Metrics


async def broken(_: web.Request) -> web.Response:
    raise RuntimeError("password=hunter2 in /srv/secret")


async def body(request: web.Request) -> web.Response:
    return web.json_response({"read": len(await request.read())})


@pytest.fixture
def health():
    return Health()


@pytest.fixture
async def client(aiohttp_client, health):
    routes = [web.post("", body), web.get("/broken", broken)]
    return await aiohttp_client(http.build({"toy": routes}, max_body=1000, health=health, metrics=Metrics()))


async def test_the_routes_of_an_inbox_are_under_its_name(client):
    assert (await client.post("/channels/toy", data=b"four")).status == 200
    assert (await client.post("/channels/other", data=b"four")).status == 404


async def test_an_exception_is_a_fixed_500_and_its_text_goes_nowhere(client):
    with capture_logs() as logs:
        answer = await client.get("/channels/toy/broken")
    said = await answer.text()
    assert (answer.status, answer.content_type) == (500, "application/problem+json")
    assert [line["event"] for line in logs] == ["request.failed"]
    for word in ("hunter2", "secret", "RuntimeError"):
        assert word not in said
    assert "hunter2" not in str(logs)


async def test_a_body_over_the_gateways_limit_is_413(client):
    assert (await client.post("/channels/toy", data=b"x" * 2000)).status == 413


async def test_ready_is_what_every_check_says(client, health):
    async def well() -> bool:
        return True

    async def ill() -> bool:
        return False

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
