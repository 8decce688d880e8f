"""The public keys of DKIM as the DNS has them (RFC 6376 3.6.1, RFC 8463)."""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from dkim.util import InvalidTagValueList, parse_tag_value  # type: ignore[import-untyped]

SHORTEST: Final = 1024
"""Bits of an RSA key, RFC 8301."""
LONGEST: Final = 4096
"""Beyond it a signature takes long to check, and no mail server makes one."""
MOST_EXPONENT: Final = 2**32
LARGEST_RECORD: Final = 8192


class BadKey(Exception):
    """It is no key, or none for this signature."""


class RefusedKey(BadKey):
    """A key, and too weak, or too strange, to believe."""


class Key:
    """One key, as the library takes those of Ed25519: what checks a signature over a digest is not its own."""

    def __init__(self, record: str, algorithm: bytes) -> None:
        """Raises BadKey. `algorithm` is the signature's `a=`."""
        tags = _tags(record)
        kind = tags.get(b"k", b"rsa")
        self.same_domain_only = b"s" in _words(tags.get(b"t", b""))
        self.good = False
        if not tags.get(b"p"):
            raise BadKey("revoked, or no key")
        if tags.get(b"v", b"DKIM1") != b"DKIM1" or not algorithm.startswith(kind + b"-"):
            raise BadKey("of another kind")
        if not {b"*", b"email"} & set(_words(tags.get(b"s", b"*"))):
            raise BadKey("not for mail")
        if b"h" in tags and b"sha256" not in _words(tags[b"h"]):
            raise BadKey("not for this hash")
        try:
            data = base64.b64decode(b"".join(tags[b"p"].split()), validate=True)
            self._key = Ed25519PublicKey.from_public_bytes(data) if kind == b"ed25519" else _rsa(data)
        except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
            raise BadKey("unreadable") from error

    def verify(self, digest: bytes, signature: bytes) -> None:
        """`good` says whether it is; the library takes silence for a yes."""
        try:
            if isinstance(self._key, Ed25519PublicKey):
                self._key.verify(signature, digest)
            else:
                self._key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
        except InvalidSignature:
            self.good = False
        else:
            self.good = True


def _tags(record: str) -> dict[bytes, bytes]:
    if len(record) > LARGEST_RECORD:
        raise RefusedKey("out of all bounds")
    try:
        tags: dict[bytes, bytes] = parse_tag_value(record.encode("latin-1"))
    except (InvalidTagValueList, UnicodeEncodeError, IndexError) as error:
        raise BadKey("unreadable") from error
    return tags


def _words(value: bytes) -> list[bytes]:
    return [word.strip() for word in value.split(b":")]


def _rsa(data: bytes) -> RSAPublicKey:
    key = load_der_public_key(data)
    if not isinstance(key, RSAPublicKey):
        raise BadKey("of another kind")
    if not SHORTEST <= key.key_size <= LONGEST or key.public_numbers().e > MOST_EXPONENT:
        raise RefusedKey("too weak, or out of all bounds")
    return key
