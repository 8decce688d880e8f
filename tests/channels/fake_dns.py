"""A DNS in memory, and the keys and mails of those who are in it."""

import base64
from collections.abc import Sequence
from functools import cache
from typing import ClassVar

import dkim  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from channels.email.authentication.resolver import Kind, Unanswered


class FakeDns:
    """What was never set does not exist; what is set to None is not answered."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, Kind], Sequence[str] | None] = {}
        self.asked: list[tuple[str, Kind]] = []

    async def ask(self, name: str, kind: Kind) -> tuple[str, ...]:
        self.asked.append((name, kind))
        found = self.records.get((name.rstrip(".").lower(), kind), ())
        if found is None:
            raise Unanswered
        return tuple(found)

    def txt(self, name: str, *records: str) -> None:
        self.records[name, "TXT"] = records

    def silent(self, name: str, kind: Kind = "TXT") -> None:
        self.records[name, kind] = None

    def publish(self, domain: str, *, selector: str = "k1", bits: int = 2048, tags: str = "v=DKIM1; k=rsa;") -> None:
        """The key `signed` signs with."""
        self.txt(f"{selector}._domainkey.{domain}", f"{tags} p={public_key(bits)}")


@cache
def _private(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def public_key(bits: int = 2048) -> str:
    key = _private(bits).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def signed(mail: bytes, domain: str = "acme.example", *, selector: str = "k1", bits: int = 2048, **options) -> bytes:
    """With a DKIM-Signature on top, made by the library."""
    options.setdefault("canonicalize", (b"relaxed", b"relaxed"))
    header: bytes = dkim.sign(mail, selector.encode(), domain.encode(), _pem(bits), **options)
    return header + mail


def _pem(bits: int) -> bytes:
    return _private(bits).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


class _Careless(dkim.DKIM):  # type: ignore[misc] # untyped
    """Signs anything but who wrote it."""

    def gen_header(self, fields, include_headers, *others, **options):
        kept = [name for name in include_headers if name != b"from"]
        fields = [(name, b":".join(kept) if name == b"h" else value) for name, value in fields]
        return super().gen_header(fields, kept, *others, **options)


def signed_without_from(mail: bytes, domain: str = "acme.example") -> bytes:
    """What the library itself would not make, and finds good."""
    header: bytes = _Careless(mail).sign(b"k1", domain.encode(), _pem(2048))
    return header + mail


class _Tagging(dkim.DKIM):  # type: ignore[misc] # untyped
    """Says of its signature whatever it is told to."""

    tags: ClassVar[dict[bytes, bytes]] = {}

    def gen_header(self, fields, *others, **options):
        return super().gen_header([*self.tags.items(), *fields], *others, **options)


def signed_with_tags(mail: bytes, tags: dict[bytes, bytes]) -> bytes:
    """By acme.example, with more tags than it needs."""
    signer = type("_Tagging", (_Tagging,), {"tags": tags})(mail)
    header: bytes = signer.sign(b"k1", b"acme.example", _pem(2048))
    return header + mail


class _Ed25519Signer(dkim.DKIM):  # type: ignore[misc] # untyped
    """The library signs so with pynacl alone."""

    own = Ed25519PrivateKey.generate()
    signature = b""

    def gen_header(self, fields, include_headers, canon_policy, header_name, pk, standardize=False):
        self.signature_algorithm = b"ed25519-sha256"
        fields = [(name, self.signature_algorithm if name == b"a" else value) for name, value in fields]
        return super().gen_header(fields, include_headers, canon_policy, header_name, self, standardize)

    def sign(self, *asked, **options):
        if len(asked) > 1:
            return super().sign(*asked, **options)
        self.signature = self.own.sign(asked[0])
        return self


def signed_with_ed25519(mail: bytes, domain: str, selector: str) -> tuple[bytes, str]:
    """The mail, and the key's record."""
    public = base64.b64encode(_Ed25519Signer.own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    header = _Ed25519Signer(mail).sign(selector.encode(), domain.encode(), _pem(2048))
    return header + mail, f"v=DKIM1; k=ed25519; p={public}"
