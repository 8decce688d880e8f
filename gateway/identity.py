"""Ids and references made from the idempotency key, so that a retry gets the same ones."""

from hashlib import blake2b
from uuid import UUID

import msgspec

ALPHABET = "23456789ACDEFGHJKMNPQRTVWXY"
"""No 0 O 1 I L (they look alike), no B S Z U (8 5 2 V): safe to read out and to copy by hand."""
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]


class Identity(msgspec.Struct, frozen=True):
    """One envelope's names: `mark` is the 16 bytes the seen-set holds."""

    mark: bytes
    id: str
    reference: str


def identify(idempotency_key: str) -> Identity:
    """UUIDv8 (RFC 9562) of the key's BLAKE2b-128, and the short reference a customer is told."""
    digest = bytearray(digest16(idempotency_key))
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    h = digest.hex()
    return Identity(bytes(digest), f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}", _reference(digest))


def identity_of(id: str) -> Identity:
    """The names of an envelope whose id is known. Raises ValueError where it is no UUID."""
    mark = UUID(id).bytes
    return Identity(mark, id, _reference(bytearray(mark)))


def digest16(value: str) -> bytes:
    """BLAKE2b-128 of a string; lone surrogates cannot stop it."""
    return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _reference(digest: bytearray) -> str:
    # 27^8 is 2.8e11: among a million tickets about two share one. The id is the key, this is for people.
    number, a = divmod(int.from_bytes(digest[9:], "big"), len(_PAIRS))
    number, b = divmod(number, len(_PAIRS))
    number, c = divmod(number, len(_PAIRS))
    return f"T-{_PAIRS[a]}{_PAIRS[b]}-{_PAIRS[c]}{_PAIRS[number % len(_PAIRS)]}"
