"""Amazon SNS: its documents, how they are signed, and where its certificates may come from.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from channels.email.webhooks.keys import decoded
from channels.email.webhooks.provider import Answer, TurnedAway, forged

Fetch = Callable[[str], Awaitable[bytes]]
"""Raises OSError where nothing comes, in time, of a sane size, with a 200."""

_HASHES: Final = {"1": SHA1, "2": SHA256}
_SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
# A region and nothing else: sns.s3.amazonaws.com is somebody's bucket.
_HOST = r"https://sns\.[a-z]{2,3}(?:-[a-z]{2,20}){1,3}-\d{1,2}\.amazonaws\.com(?:\.cn)?/"
_CERTIFICATE_URL = re.compile(_HOST + r"SimpleNotificationService-[A-Za-z0-9_-]{1,100}\.pem")
_SUBSCRIBE_URL = re.compile(_HOST + r"\?[!-~]{1,2000}")
_MOST_CERTIFICATES = 20
_SMALLEST_KEY = 2048


class Notice(msgspec.Struct, rename="pascal", kw_only=True):
    """One document of SNS."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature_version: str
    signature: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)


def signed_text(notice: Notice) -> bytes:
    """What the signature is of: name and value of each field that is there, a line each. Raises TurnedAway."""
    names = _SIGNED.get(notice.type)
    if names is None:
        raise TurnedAway(Answer.NEVER, "unknown type of sns document", "This is no document of SNS.")
    fields = msgspec.to_builtins(notice)
    lines = (f"{name}\n{fields[name]}\n" for name in names if fields.get(name) is not None)
    return "".join(lines).encode("utf-8", "surrogatepass")


def sign(notice: Notice, key: RSAPrivateKey) -> str:
    """As SNS itself would, by the version that the document names; for rehearsals."""
    signature = key.sign(signed_text(notice), PKCS1v15(), _HASHES[notice.signature_version]())
    return b64encode(signature).decode()


def may_subscribe(url: str | None) -> bool:
    """Whether it is SNS that would be asked."""
    return url is not None and _SUBSCRIBE_URL.fullmatch(url) is not None


class Signatures:
    """Checks documents by certificates that are fetched once. `fetch` makes sure of the host by TLS."""

    def __init__(self, fetch: Fetch, now: Callable[[], float]) -> None:
        self._fetch, self._now = fetch, now
        self._kept: dict[str, tuple[RSAPublicKey, float, float]] = {}

    async def verify(self, notice: Notice) -> None:
        """Raises TurnedAway: not by SNS, or, where the certificate cannot be had, later."""
        algorithm = _HASHES.get(notice.signature_version)
        if algorithm is None:
            raise forged("unknown version of sns signature")
        if _CERTIFICATE_URL.fullmatch(notice.signing_cert_url) is None:
            raise forged("certificate from elsewhere than sns", "SigningCertURL is not at an address of SNS.")
        text = signed_text(notice)
        key, since, until = await self._certificate(notice.signing_cert_url)
        if not since <= self._now() <= until:
            raise forged("sns certificate out of its time", "The certificate is not valid now.")
        try:
            key.verify(decoded(notice.signature), text, PKCS1v15(), algorithm())
        except InvalidSignature:
            raise forged("signature not by sns", "The signature does not fit the document.") from None

    async def _certificate(self, url: str) -> tuple[RSAPublicKey, float, float]:
        if url in self._kept:
            return self._kept[url]
        try:
            certificate = load_pem_x509_certificate(await self._fetch(url))
        except OSError:
            words = "The certificate of SNS cannot be fetched just now."
            raise TurnedAway(Answer.LATER, "sns certificate out of reach", words) from None
        except ValueError:
            raise forged("sns certificate unreadable") from None
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey) or key.key_size < _SMALLEST_KEY:
            raise forged("sns certificate of another kind")
        if len(self._kept) >= _MOST_CERTIFICATES:
            del self._kept[next(iter(self._kept))]
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        kept = self._kept[url] = key, since.timestamp(), until.timestamp()
        return kept


def stamp(now: float) -> str:
    """As SNS writes a time."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
