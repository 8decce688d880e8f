import asyncio
import json
from email.utils import parsedate_to_datetime

import pytest
from aiohttp import web

from channels.answers import SERVER, AcceptedResponse

PATIENCE = 10.0
BODY = json.dumps({"reference": "T-7K3M-9QXR", "words": "접수"}).encode()


@pytest.fixture
async def door(aiohttp_server):
    async def accept(_: web.Request) -> web.StreamResponse:
        return AcceptedResponse(BODY)

    app = web.Application()
    app.router.add_post("/", accept)
    return await aiohttp_server(app)


async def talk(door, sent: bytes, answers: int = 1) -> list[tuple[list[bytes], bytes]]:
    """Each answer's head lines and body."""
    reader, writer = await asyncio.open_connection(door.host, door.port)
    writer.write(sent)
    got = []
    async with asyncio.timeout(PATIENCE):
        for _ in range(answers):
            lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
            (length,) = (int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
            got.append((lines, await reader.readexactly(length)))
    writer.close()
    return got


def post(version: str = "HTTP/1.1", *headers: str) -> bytes:
    return "\r\n".join((f"POST / {version}", "Host: x", "Content-Length: 2", *headers, "", "{}")).encode()


def fields(lines: list[bytes]) -> dict[str, str]:
    return {name.lower(): value for name, _, value in (line.decode().partition(": ") for line in lines[1:])}


async def test_it_is_a_whole_answer_in_one_piece(door):
    ((lines, body),) = await talk(door, post())
    assert (lines[0], body) == (b"HTTP/1.1 202 Accepted", BODY)
    head = fields(lines)
    assert (head["content-type"], head["server"]) == ("application/json", SERVER)
    assert parsedate_to_datetime(head["date"]).tzinfo is not None
    assert set(head) == {"content-type", "content-length", "date", "server"}


async def test_requests_sent_ahead_are_answered_one_after_the_other(door):
    answers = await talk(door, post() * 3, 3)
    assert [body for _, body in answers] == [BODY] * 3


@pytest.mark.parametrize(
    ("request_", "connection"),
    [
        (post("HTTP/1.1", "Connection: close"), "close"),
        (post("HTTP/1.0"), None),
        (post("HTTP/1.0", "Connection: keep-alive"), "keep-alive"),
    ],
)
async def test_older_and_parting_clients_get_the_same_words(door, request_, connection):
    ((lines, body),) = await talk(door, request_)
    assert lines[0].endswith(b" 202 Accepted")
    assert body == BODY
    head = fields(lines)
    assert (head["content-type"], head.get("connection")) == ("application/json", connection)


@pytest.mark.parametrize("request_", [post("HTTP/1.1", "Connection: close"), post("HTTP/1.0")])
async def test_who_is_parting_is_parted_from(door, request_):
    reader, writer = await asyncio.open_connection(door.host, door.port)
    writer.write(request_)
    assert (await asyncio.wait_for(reader.read(), PATIENCE)).endswith(BODY)
    writer.close()
