"""DKIM signatures of one mail, checked by dkimpy with its ways to be kept busy for hours closed."""

import base64
import binascii
import logging
import re
from collections.abc import Mapping, Sequence
from mmap import mmap
from typing import Any, Final

import dkim  # type: ignore[import-untyped]
import msgspec

from channels.email.authentication.body_hash import Digest, body_digest
from channels.email.authentication.dkim_keys import BadKey, Key, RefusedKey
from channels.email.authentication.names import aligned, dns_name
from channels.email.authentication.reading import Reading
from normalizers.mailed import Dkim, DkimResult

MOST_SIGNATURES: Final = 8
LARGEST_MAIL: Final = 40 * 1024 * 1024
LARGEST_HEADER: Final = 512 * 1024
"""The normalizer reads half of that."""
LONGEST_SIGNATURE: Final = 8192
MOST_SIGNED: Final = 200
"""Header fields a signature names; the library looks for each in all."""
MOST_FIELDS: Final = 1000
"""As many as the normalizer reads."""

# Its patterns are quadratic in a run of white space.
_LONG_SPACE: Final = re.compile(rb"\s{100}")
_UNSEEN: Final = re.compile(rb"^From ", re.MULTILINE)
_ALGORITHMS: Final = (b"rsa-sha256", b"ed25519-sha256")  # RFC 8301: rsa-sha1 proves nothing
_SELECTOR: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")

logging.getLogger("dkimpy").setLevel(logging.CRITICAL)  # it logs domains


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One DKIM-Signature to check."""

    place: int
    """Among all of the mail, topmost first."""
    domain: str
    selector: str

    @property
    def key_name(self) -> str:
        """Where its key is."""
        return f"{self.selector}._domainkey.{self.domain}"

    def found(self, result: DkimResult) -> Dkim:
        """As the envelope tells it."""
        return Dkim(result=result, domain=self.domain, selector=self.selector)


def signatures(reading: Reading) -> tuple[list[Signature], list[Dkim]]:
    """At most `MOST_SIGNATURES`, those aligned with the author first; and what is wrong with those that are none."""
    good: list[Signature] = []
    bad: list[Dkim] = []
    for place, value in enumerate(reading.signatures):
        if len(good) + len(bad) >= 4 * MOST_SIGNATURES:
            break
        if len(value) > LONGEST_SIGNATURE or _LONG_SPACE.search(value):
            bad.append(Dkim(result="policy"))
            continue
        try:
            tags = dkim.util.parse_tag_value(value)
            domain = dns_name(tags[b"d"].decode("ascii"))
            selector = tags[b"s"].decode("ascii").lower()
        except (dkim.util.InvalidTagValueList, KeyError, UnicodeDecodeError, IndexError):
            domain, selector = None, ""
        if domain is None or len(selector) > 63 or not _SELECTOR.fullmatch(selector):
            bad.append(Dkim(result="permerror", domain=domain))
        else:
            good.append(Signature(place=place, domain=domain, selector=selector))
    good.sort(key=lambda one: not aligned(one.domain, reading.author))
    del good[MOST_SIGNATURES:]
    return good, bad[: MOST_SIGNATURES - len(good)]


def check(
    content: bytes | mmap, reading: Reading, wanted: Sequence[Signature], keys: Mapping[str, tuple[str, ...]]
) -> list[Dkim]:
    """Takes long for a large mail: for a thread. `keys`: the TXT records of every signature's `key_name`."""
    if len(content) > LARGEST_MAIL or reading.body - reading.start > LARGEST_HEADER:
        return [one.found("policy") for one in wanted]
    try:
        verifier = _Verifier(content, reading)
    except (dkim.DKIMException, IndexError):  # a line that is no header; a first line that continues another
        return [one.found("permerror") for one in wanted]
    if len(verifier.headers) > MOST_FIELDS:
        return [one.found("policy") for one in wanted]
    return [one.found(verifier.result(one, keys[one.key_name])) for one in wanted]


class _Refused(Exception):
    """Well signed, and nothing to rely on."""


class _Verifier(dkim.DKIM):  # type: ignore[misc] # untyped
    def __init__(self, content: bytes | mmap, reading: Reading) -> None:
        header = bytes(content[reading.start : reading.body])
        if _UNSEEN.search(header):
            raise dkim.MessageFormatError("a line the library passes over")
        super().__init__(header)
        self._content = content
        self._body = reading.body
        self._record = ""
        self._domain = ""
        self._digests: dict[tuple[bool, int | None], Digest] = {}

    def result(self, signature: Signature, records: tuple[str, ...]) -> DkimResult:
        """RFC 8601 2.7.1. A key in several records is tried in each, as RFC 6376 6.1.2 lets us."""
        if not records:
            return "permerror"
        results = [self._one(signature, record) for record in records[:2]]
        return "pass" if "pass" in results else results[0]

    def _one(self, signature: Signature, record: str) -> DkimResult:
        self._record, self._domain = record, signature.domain
        try:
            return "pass" if self.verify(signature.place) else "fail"
        except (_Refused, RefusedKey):
            return "policy"
        except (BadKey, dkim.DKIMException):
            return "permerror"
        except Exception:  # the library meets what strangers wrote with IndexError, AssertionError and more
            return "permerror"

    def verify_sig(self, sig: dict[bytes, bytes], include_headers: list[bytes], sig_header: Any, dnsfunc: Any) -> bool:
        """The header first: only who can sign it has the body hashed."""
        if dns_name(sig[b"d"].decode("ascii")) != self._domain:
            raise dkim.ValidationError("another signature than was asked about")
        if b"from" not in include_headers or len(include_headers) > MOST_SIGNED:
            raise dkim.ValidationError("From is not signed, or too much is")
        if sig[b"a"] not in _ALGORITHMS:
            raise _Refused
        key = Key(self._record, sig[b"a"])
        if key.same_domain_only and sig.get(b"i", b"@" + sig[b"d"]).rpartition(b"@")[2].lower() != sig[b"d"].lower():
            raise BadKey("for the domain itself alone")
        self.pk, self.ktag, self.seqtlsrpt = key, b"ed25519", False  # whatever it is: it then has the key do it
        header_only = {name: value for name, value in sig.items() if name != b"bh"}
        self.verify_sig_process(header_only, include_headers, sig_header, dnsfunc)
        return key.good and self._body_matches(sig)

    def _body_matches(self, sig: dict[bytes, bytes]) -> bool:
        try:
            wanted = base64.b64decode(b"".join(sig[b"bh"].split()), validate=True)
        except (ValueError, binascii.Error) as error:
            raise dkim.ValidationError("bh=") from error
        limit = int(sig[b"l"]) if b"l" in sig else None
        _, _, body = sig.get(b"c", b"simple/simple").partition(b"/")
        spelling = (body == b"relaxed", limit)
        if (digest := self._digests.get(spelling)) is None:
            digest = body_digest(self._content, self._body, relaxed=spelling[0], limit=limit)
            self._digests[spelling] = digest
        if digest.value != wanted:
            return False
        if limit is not None and limit > digest.length:
            raise dkim.ValidationError("l= is more than there is")
        if limit is not None and limit < digest.length:
            raise _Refused  # anybody may have added the rest
        return True
