"""Signed requests of every HTTP channel, each a new message, as fast as their vendor could send them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

CHANNELS = Path(__file__).parent.parent.parent / "channels"
Make = Callable[[int], bytes]
X_ACCOUNT = "1480000000000000001"
"""The account the sample of X is for."""
_X_POST = "2080765813578190001"


def makers(public_url: str) -> dict[str, Callable[[], bytes]]:
    """By inbox of the shipped configuration: a function that gives the next request, whole."""
    slack_event, x_event = (
        _sample("chat/samples/01-double-charge-ko.json"),
        _sample("twitter/samples/01-mention-ko.json"),
    )
    x_text = json.dumps(x_event)

    def portal(n: int) -> bytes:
        body = {"external_id": str(n), "requester": {"email": "jane@initech.example"}, "text": "Charged twice."}
        return _request("/channels/portal/messages", json.dumps(body), Authorization="Bearer development-only-portal")

    def callback(n: int) -> bytes:
        body = {"name": "김민수", "phone": "010-1234-5678", "country": "KR", "topic": f"환불 문의 {n}"}
        return _request("/channels/callback", json.dumps(body))

    def slack(n: int) -> bytes:
        now = int(time.time())
        said = {**slack_event["event"], "ts": f"{now}.{n:06d}", "event_ts": f"{now}.{n:06d}"}
        body = json.dumps({**slack_event, "event": said, "event_id": f"Ev{n}"})
        digest = hmac.digest(b"development-only-slack", f"v0:{now}:{body}".encode(), "sha256").hex()
        stamp = {"X-Slack-Request-Timestamp": str(now), "X-Slack-Signature": f"v0={digest}"}
        return _request("/channels/slack/events", body, **stamp)

    def x(n: int) -> bytes:
        body = x_text.replace(_X_POST, str(1990000000000000000 + n))
        digest = base64.b64encode(hmac.digest(b"development-only-x", body.encode(), "sha256")).decode()
        return _request("/channels/x/webhook", body, **{"x-twitter-webhooks-signature": f"sha256={digest}"})

    def phone(n: int) -> bytes:
        form = {
            "AccountSid": "AC00000000000000000000000000000000",
            "MessageSid": f"SM{n:032x}",
            "From": "+821012345678",
            "To": "+827012345678",
            "Body": "결제가 두 번 됐어요",
            "NumMedia": "0",
        }
        path = "/channels/phone/messages"
        signed = public_url + path + "".join(name + form[name] for name in sorted(form))
        digest = base64.b64encode(hmac.digest(b"development-only-twilio", signed.encode(), hashlib.sha1)).decode()
        kind = "application/x-www-form-urlencoded"
        return _request(path, urlencode(form), **{"Content-Type": kind, "X-Twilio-Signature": digest})

    return {make.__name__: _next(make) for make in (callback, phone, portal, slack, x)}


def _sample(path: str) -> Any:
    return json.loads((CHANNELS / path).read_text(encoding="utf-8"))


def _next(make: Make) -> Callable[[], bytes]:
    numbers = count()
    return lambda: make(next(numbers))


def _request(path: str, body: str, **headers: str) -> bytes:
    content = body.encode()
    fields = {"Host": "127.0.0.1", "Content-Type": "application/json", **headers, "Content-Length": str(len(content))}
    lines = (f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", "")
    return "\r\n".join(lines).encode() + content
