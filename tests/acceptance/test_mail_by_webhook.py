"""A mail that a provider posts, and the customer's answer to ours, in a gateway as operators run it."""

import json
import re
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Gateway

INBOX = """\
  desk:
    type: email
    listen: null
    recipients: [desk@example.com]
    webhooks:
      mailgun: {signing_keys: [a-signing-key-of-mailgun]}
      postmark: {credentials: ["postmark:a-long-password"]}
    reply_tokens: {keys: ["a-key-of-more-than-thirty-two-characters"]}
"""
GUIDE = Path(__file__).parents[2] / "docs" / "reply-tokens.md"


def envelopes(gateway: Gateway) -> list[dict[str, Any]]:
    with gateway.redis() as redis:
        entries = [entry for tier in ("premium", "business", "free") for entry in redis.xrange(f"{{tickets}}:{tier}")]
    return [json.loads(fields["event"]) for _, fields in sorted(entries)]


def simulate(gateway: Gateway, **given: str) -> None:
    pairs = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    said = gateway.call("simulate", "email", "--inbox", "desk", *pairs)
    assert said.returncode == 0, said.stderr


def test_an_answer_to_an_answer_finds_its_ticket(new_gateway: Callable[[], Gateway]):
    gateway = new_gateway()
    gateway.configure(more=INBOX)
    gateway.start()
    simulate(gateway, via="mailgun", subject="두 번 결제")
    (first,) = envelopes(gateway)
    assert (first["data"]["medium"], first["data"]["thread"]["answers"]) == ("mailgun", None)
    core: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[0], core)
    sent = message_from_bytes(core["answer"](first, "확인했습니다").as_bytes())
    assert sent["Reply-To"] == first["data"]["thread"]["reply_to"]
    simulate(gateway, via="postmark", to=sent["Reply-To"], subject="Re: 두 번 결제", text="고맙습니다")
    (again,) = (one for one in envelopes(gateway) if one["id"] != first["id"])
    thread = again["data"]["thread"]
    assert (thread["answers"], thread["evidence"][0]) == (first["id"], "reply_token")
    assert again["data"]["recipients"] == [{"kind": "email", "value": sent["Reply-To"]}]
    assert re.fullmatch(r"<t\.([a-z2-7]{39})\.\w+@example\.com>", sent["Message-ID"])
