"""Is it from whom it says: signatures in constant time, key rotation, a window of freshness."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

Secret = Annotated[SecretStr, Field(min_length=1)]
"""Empty is refused: an empty secret signs for everybody."""
Secrets = Annotated[tuple[Secret, ...], Field(min_length=1)]
"""Newest first, so that they can be rotated: each of them verifies, the first one signs."""
OptionalSecret = Annotated[Secret | None, BeforeValidator(lambda value: None if value == "" else value)]
"""Empty is none: `${SLACK_BOT_TOKEN:-}`."""


def hmac_sha256_hex(secret: SecretStr, message: bytes) -> str:
    """HMAC-SHA256 as lower-case hex (Slack)."""
    return hmac.digest(_key(secret), message, hashlib.sha256).hex()


def hmac_sha256_base64(secret: SecretStr, message: bytes) -> str:
    """HMAC-SHA256 in base64 (X)."""
    return base64.b64encode(hmac.digest(_key(secret), message, hashlib.sha256)).decode()


def matches(given: str, expected: Iterable[str]) -> bool:
    """Whether `given` is one of `expected`, in a time that says nothing about how much of it was right."""
    # As bytes: compare_digest refuses strings that are not ASCII, and a header may hold anything.
    presented = given.encode("utf-8", "surrogatepass")
    found = [hmac.compare_digest(presented, one.encode()) for one in expected]
    return any(found)


def signed(given: str, message: bytes, secrets: Sequence[SecretStr], sign: Callable[[SecretStr, bytes], str]) -> bool:
    """Whether any of the secrets signs `message` as `given`."""
    return matches(given, (sign(secret, message) for secret in secrets))


def fresh(timestamp: str, within: float, *, now: Callable[[], float] = time.time) -> bool:
    """Whether a decimal Unix time stamp is at most `within` seconds from now, either way; nonsense is not."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(now() - int(timestamp)) <= within


def _key(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode()
