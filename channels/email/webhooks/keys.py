"""Public keys, and what is signed with their private halves."""

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

_LONGEST = 4096


def checked_key(key: str) -> str:
    """The key, if SendGrid could have given it. Raises ValueError without quoting it."""
    try:
        _loaded(key)
    except ValueError:
        raise ValueError("must be the public key that SendGrid shows: one line of base64") from None
    return key


def is_signed_by(keys: Sequence[str], signature: str, *message: bytes) -> bool:
    """Whether one of the keys signed the pieces, joined: ECDSA with SHA-256, the signature as DER in base64."""
    given = decoded(signature)
    digest = hashlib.sha256()  # other threads run meanwhile; the verifier's own hash lets none
    for piece in message:
        digest.update(piece)
    return bool(given) and any([_verifies(_loaded(key), given, digest.digest()) for key in keys])


def decoded(text: str) -> bytes:
    """What is written in base64; empty where it is not."""
    try:
        return b64decode(text, validate=True) if len(text) <= _LONGEST else b""
    except (Base64Error, ValueError):
        return b""


@lru_cache(maxsize=100)
def _loaded(key: str) -> EllipticCurvePublicKey:
    loaded = load_der_public_key(decoded(key))
    if not isinstance(loaded, EllipticCurvePublicKey):
        raise ValueError("is of another kind")
    return loaded


def _verifies(key: EllipticCurvePublicKey, signature: bytes, digest: bytes) -> bool:
    try:
        key.verify(signature, digest, ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True
