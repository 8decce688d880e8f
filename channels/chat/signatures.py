"""How Slack signs its requests: https://docs.slack.dev/authentication/verifying-requests-from-slack/"""

from collections.abc import Callable, Mapping, Sequence

from pydantic import SecretStr

from channels.verify import fresh, hmac_sha256_hex, signed

SIGNATURE = "X-Slack-Signature"
TIMESTAMP = "X-Slack-Request-Timestamp"
WINDOW = 300
"""Seconds a request may be from now, either way."""


def sign(secret: SecretStr, timestamp: str, body: bytes) -> dict[str, str]:
    """The headers of a request signed at `timestamp`, in Unix seconds."""
    return {TIMESTAMP: timestamp, SIGNATURE: _signature(secret, _base(timestamp, body))}


def is_fresh(headers: Mapping[str, str], now: Callable[[], float]) -> bool:
    """Whether the request says that it was signed within the last minutes."""
    return fresh(headers.get(TIMESTAMP, ""), WINDOW, now=now)


def is_signed(headers: Mapping[str, str], body: bytes, secrets: Sequence[SecretStr]) -> bool:
    """Whether one of the secrets signed this body at the time the request says; that time must be fresh."""
    return signed(headers.get(SIGNATURE, ""), _base(headers.get(TIMESTAMP, ""), body), secrets, _signature)


def _base(timestamp: str, body: bytes) -> bytes:
    return b"v0:" + timestamp.encode("utf-8", "surrogatepass") + b":" + body


def _signature(secret: SecretStr, base: bytes) -> str:
    return f"v0={hmac_sha256_hex(secret, base)}"
