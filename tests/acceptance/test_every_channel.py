"""The shipped configuration, as `make run` starts it: one message of every channel, and each message once."""

import asyncio
import json
import smtplib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from channels import registry
from channels.api import FrontDoor
from gateway.envelope import json_schema
from gateway.settings import load
from tests.acceptance.conftest import Gateway

ROOT = Path(__file__).parent.parent.parent
SAME = {
    "api": {"key": "same", "external_id": "same"},
    "chat": {"ts": "1763852400.123456"},
    "phone": {"event": "sms", "MessageSid": "SM" + "1" * 32},
    "twitter": {"id": "1990000000000000001"},
    "web_callback": {"key": "same"},
    "web_form": {"key": "same"},
}
MAIL = b"From: minsu@acme.example\r\nTo: support@example.com\r\nMessage-ID: <same@acme.example>\r\n\r\nTwice.\r\n"


@pytest.fixture
def shipped(new_gateway) -> Gateway:
    """The shipped file on free ports, with its data in a folder of its own."""
    gateway: Gateway = new_gateway()
    text = (ROOT / "config" / "gateway.yaml").read_text(encoding="utf-8")
    for variable, value in (
        ("PORT:-8080", gateway.http),
        ("SMTP_PORT:-2525", gateway.smtp),
        ("EMBEDDED_PORT:-6390", gateway.valkey),
        ("OBJECTS_URL:-file://var/objects", f"file://{gateway.folder}/objects"),
        ("SPOOL_DIR:-var/spool", f"{gateway.folder}/spool"),
    ):
        assert f"${{{variable}}}" in text
        text = text.replace(f"${{{variable}}}", str(value))
    gateway.config.write_text(text.replace("#dir: var/valkey", f"dir: {gateway.folder}/valkey"), encoding="utf-8")
    gateway.start()
    return gateway


def events(gateway: Gateway) -> list[dict[str, Any]]:
    with gateway.redis() as redis:
        streams = [redis.xrange(f"{{tickets}}:{tier}") for tier in ("premium", "business", "free")]
    return [json.loads(fields["event"]) for stream in streams for _, fields in stream]


def test_a_newcomer_sees_messages_of_every_channel_arrive(shipped):
    for channel in registry.BUILT_IN:
        samples = len(registry.samples(channel))
        assert samples >= 10
        done = shipped.call("simulate", channel, "--repeat", str(samples))
        assert done.returncode == 0, done.stderr
    found = events(shipped)
    assert set(Counter(event["data"]["channel"] for event in found)) == set(registry.BUILT_IN)
    tiers = {(event["data"]["channel"], event["data"]["tier"]["value"]) for event in found}
    assert {(channel, "premium") for channel in registry.BUILT_IN} <= tiers
    with shipped.redis() as redis:
        assert redis.xlen("{tickets}:dead") == 0
    schema = jsonschema.Draft202012Validator(json_schema())
    for event in found:
        schema.validate(event)
        waits = event["data"]["kind"] in {"message", "callback", "call"} and not event["type"].endswith("updated.v1")
        assert (event["data"]["sla"] is not None) == waits
    platform = {event["data"]["channel"] for event in found if event["data"]["requester"]["proof"] == "platform"}
    assert platform == {"chat", "phone", "twitter"}


@pytest.mark.parametrize("channel", SAME)
def test_twenty_parallel_duplicates_of_any_message_publish_once(shipped, channel):
    settings = load(shipped.config, environ={})
    name, inbox = next((name, own) for name, own in settings.channels.items() if own.type == channel)
    door = FrontDoor(inbox=name, url=f"{shipped.url}/channels/{name}", public_url=settings.http.public_url)
    sample = registry.samples(channel)[0].read_bytes()

    async def send() -> None:
        simulate = registry.load(channel).simulate
        await asyncio.gather(*(simulate(inbox, door, sample, SAME[channel]) for _ in range(20)))

    asyncio.run(send())
    assert len(events(shipped)) == 1


def test_twenty_parallel_duplicates_of_a_mail_publish_once(shipped):
    def send(_: int) -> None:
        with smtplib.SMTP("127.0.0.1", shipped.smtp, timeout=20) as client:
            client.sendmail("minsu@acme.example", ["support@example.com"], MAIL)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(send, range(20)))
    assert len(events(shipped)) == 1
