"""Was it Twilio: signatures over the address and the sorted form, SHA-1 by auth token or SHA-256 by shared key."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote_to_bytes, urlsplit

from pydantic import SecretStr

from channels.verify import hmac_sha256_base64, signed

SIGNATURE = "X-Twilio-Signature"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"
_PORTS = {"https": 443, "http": 80}

Pairs = Sequence[tuple[bytes, bytes]]
"""Names and values of a form, decoded from their percents but not from UTF-8: signatures are over bytes."""


def parse_form(body: bytes) -> Pairs:
    """Every pair in its order, blank values and repeated names included."""
    pairs = []
    for piece in body.split(b"&"):
        if piece:
            name, _, value = piece.replace(b"+", b" ").partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs


def hmac_sha1_base64(secret: SecretStr, message: bytes) -> str:
    """HMAC-SHA1 in base64."""
    return base64.b64encode(hmac.digest(secret.get_secret_value().encode(), message, hashlib.sha1)).decode()


def signed_bytes(url: str, pairs: Pairs) -> bytes:
    """What Twilio signs: the address, then each different pair once, sorted, without anything between."""
    # Sorted as UTF-8 is sorted as code points, as twilio's RequestValidator does it.
    return url.encode("utf-8", "surrogateescape") + b"".join(name + value for name, value in sorted(set(pairs)))


class Signatures:
    """Verifies what was posted to an address below `public_url`; what a request says about its host is not asked."""

    def __init__(self, public_url: str, tokens: Sequence[SecretStr], shared_keys: Mapping[str, SecretStr]) -> None:
        self._bases = _spellings(public_url)
        self._tokens, self._shared_keys = tokens, shared_keys

    def verify(self, headers: Mapping[str, str], path: str, pairs: Pairs) -> bool:
        """Whether a secret of ours signed it; `path` is as it came, with its query."""
        given = headers.get(SIGNATURE)
        if not given:
            return False
        secrets, sign = self._tokens, hmac_sha1_base64
        named = _named(headers.get(SETTINGS, ""))
        if named is not None:
            key, algorithm = named
            # A request that names a key is judged by that key alone, and never by something weaker.
            if algorithm != "HMAC_SHA256" or key not in self._shared_keys:
                return False
            secrets, sign = (self._shared_keys[key],), hmac_sha256_base64
        found = [signed(given, signed_bytes(base + path, pairs), secrets, sign) for base in self._bases]
        return any(found)


def _named(header: str) -> tuple[str, str] | None:
    """Key and algorithm of `key=webhooks_…,algorithm=HMAC_SHA256`; None where an auth token signed."""
    parts = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in header.split(","))}
    key, algorithm = parts.get("key", ""), parts.get("algorithm", "").upper()
    return None if not key and algorithm in ("", "HMAC_SHA1") else (key, algorithm)


def _spellings(url: str) -> Iterable[str]:
    """With and without the port: Twilio signs either (twilio-python, request_validator.py, validate)."""
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{parts.port}")
    port = parts.port or _PORTS[parts.scheme]
    return tuple(parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{port}"))
