"""How X signs: the events it posts, and our answer to its challenge."""

from collections.abc import Sequence

from pydantic import SecretStr

from channels.verify import hmac_sha256_base64, signed

HEADER = "x-twitter-webhooks-signature"

_LONGEST_TOKEN = 512


def sign(secret: SecretStr, message: bytes) -> str:
    """`sha256=` and the HMAC in base64: of a body, or of a challenge."""
    return "sha256=" + hmac_sha256_base64(secret, message)


def is_signed(given: str, body: bytes, secrets: Sequence[SecretStr]) -> bool:
    """Whether any of the secrets signed the body. There is no time stamp: a replay is known by its ids."""
    return signed(given, body, secrets, sign)


def is_challenge(token: str) -> bool:
    """Whether a `crc_token` may be answered.

    X signs challenges and events alike, and anybody may ask for the answer to a challenge: one that could be
    read as an event (a JSON object) would be a forger's way to a good signature. The other half of this rule is
    `could_be_challenge`.
    """
    return 0 < len(token) <= _LONGEST_TOKEN and "{" not in token


def could_be_challenge(body: bytes) -> bool:
    """Whether a stranger could have had this body signed, by asking for the answer to it as a challenge."""
    return is_challenge(body.decode("utf-8", "surrogateescape"))
