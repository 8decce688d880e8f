"""The providers that post mail, as far as a gateway can tell: real signatures, and retries by the answer."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from channels.api import Receipt
from channels.email import CHANNEL
from channels.email.arrival import Arrival
from channels.email.reception import Reception
from channels.email.settings import EmailSettings
from channels.email.webhooks import rehearsal
from channels.email.webhooks.credentials import authorization
from channels.email.webhooks.doors import Webhooks, providers
from channels.email.webhooks.mailgun import Mailgun
from channels.email.webhooks.provider import Provider
from channels.email.webhooks.rehearsal import Sending
from channels.email.webhooks.s3 import Request
from channels.email.webhooks.sendgrid import SIGNATURE, TIMESTAMP
from channels.email.webhooks.ses import Ses
from channels.email.webhooks.sns import Notice, sign, stamp
from channels.testing import Door, open_door

NOW = 1_763_852_400.0
NEW, OLD = "newest-key-of-mailgun", "older-key-of-mailgun"
CREDENTIAL, OLD_CREDENTIAL = "provider:a-long-password", "provider:the-one-before"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"
SUBSCRIBE = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
SENDER, TO = "customer@acme.example", "support@example.com"
SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
SNS_KEY = rsa.generate_private_key(65537, 2048)


def public(key: ec.EllipticCurvePrivateKey) -> str:
    return b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def certificate(
    key: Any = SNS_KEY, *, since: timedelta = timedelta(days=-1), until: timedelta = timedelta(days=1)
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.fromtimestamp(NOW, UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now + since).not_valid_after(now + until)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def email_settings(**settings: Any) -> EmailSettings:
    webhooks = {
        "sendgrid": {"public_keys": [public(SENDGRID_KEY)], "credentials": [CREDENTIAL, OLD_CREDENTIAL]},
        "mailgun": {"signing_keys": [NEW, OLD]},
        "postmark": {"credentials": [CREDENTIAL, OLD_CREDENTIAL]},
        "ses": {"topics": [TOPIC]},
    }
    basic = {"type": "email", "listen": None, "recipients": [TO, "billing@example.com"], "webhooks": webhooks}
    return EmailSettings.model_validate(basic | {"authentication": {"check": "off"}} | settings)


class Internet:
    """What there is to fetch; everything asked for is remembered."""

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {CERTIFICATE: certificate(), SUBSCRIBE: b"<ConfirmSubscriptionResponse/>"}
        self.asked: list[str] = []
        self.requests: list[Request] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.there:
            raise OSError("answered 404")
        return self.there[url]

    async def fetch_object(self, request: Request, limit: int) -> bytes:
        self.requests.append(request)
        return (await self.fetch(request.url))[:limit]


class Doors:
    """An inbox with webhooks only, on the day of `NOW`, its internet a fake."""

    def __init__(self, settings: EmailSettings, host: Any, internet: Internet | None = None) -> None:
        self.internet = internet or Internet()
        self.webhooks = Webhooks(settings, host, Reception(settings, host), self._providers(settings))

    def _providers(self, settings: EmailSettings) -> list[Provider]:
        webhooks, internet = settings.webhooks, self.internet
        found = [one for one in providers(settings) if one.name in ("sendgrid", "postmark")]
        if webhooks.mailgun:
            found.append(Mailgun(webhooks.mailgun, now=lambda: NOW))
        if webhooks.ses:
            fetch, fetch_object = internet.fetch, internet.fetch_object
            found.append(Ses(webhooks.ses, settings.max_size, fetch=fetch, fetch_object=fetch_object, now=lambda: NOW))
        return found

    def routes(self) -> Any:
        return self.webhooks.routes()

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return self.webhooks.opened()


AT_NOW = type(CHANNEL)(**(vars(CHANNEL) | {"adapter": Doors}))


@asynccontextmanager
async def open_webhooks(**settings: Any) -> AsyncIterator[Door]:
    async with open_door(AT_NOW, email_settings(**settings)) as door:
        yield door


def webhooks(door: Door) -> Webhooks:
    assert isinstance(door.adapter, Doors)
    return door.adapter.webhooks


def internet(door: Door) -> Internet:
    assert isinstance(door.adapter, Doors)
    return door.adapter.internet


def arrivals(door: Door) -> list[Arrival]:
    """Whatever arrives from now on, as it goes to be checked."""
    reception, seen = webhooks(door)._reception, list[Arrival]()
    take = reception.take

    async def taken(arrival: Arrival) -> Receipt:
        seen.append(arrival)
        return await take(arrival)

    setattr(reception, "take", taken)  # noqa: B010  # mypy would have it that nobody may
    return seen


async def post(door: Door, sending: Sending, **headers: str) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(door.url + sending.path, data=sending.body, headers={**sending.headers, **headers}) as answer,
    ):
        return answer.status, json.loads(await answer.read())


def mail(text: str = "hello", *, key: str = "1", to: str = TO, **headers: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Customer <{SENDER}>", to, "결제 오류"
    message["Message-ID"] = f"<{key}@acme.example>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def by_mailgun(content: bytes, *, to: str = TO, sender: str = SENDER, key: str = NEW, at: float = NOW) -> Sending:
    settings = email_settings(webhooks={"mailgun": {"signing_keys": [key]}}).webhooks.mailgun
    assert settings
    return rehearsal.mailgun(settings, sender, to, content, at=at)


def by_postmark(content: bytes, *, to: str = TO, sender: str = SENDER, key: str = CREDENTIAL) -> Sending:
    settings = email_settings(webhooks={"postmark": {"credentials": [key]}}).webhooks.postmark
    assert settings
    return rehearsal.postmark(settings, sender, to, content)


def by_sendgrid(content: bytes, *, to: str = TO, sender: str = SENDER, key: str = CREDENTIAL) -> Sending:
    envelope = json.dumps({"to": [one.strip() for one in to.split(",")], "from": sender}).encode()
    fields = [(b"dkim", b"{@acme.example : pass}"), (b"envelope", envelope), (b"sender_ip", b"192.0.2.7")]
    content_type, body = rehearsal.multipart([*fields, (b"email", content), (b"SPF", b"pass")])
    return signed_by_sendgrid(content_type, body, key=key)


def signed_by_sendgrid(
    content_type: str, body: bytes, *, key: str = CREDENTIAL, signer: ec.EllipticCurvePrivateKey = SENDGRID_KEY
) -> Sending:
    timestamp = str(int(NOW))
    signature = b64encode(signer.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    headers = {"Content-Type": content_type, TIMESTAMP: timestamp, SIGNATURE: signature}
    return Sending(path="/sendgrid", body=body, headers=headers | authorization(SecretStr(key)))


def received(content: bytes | None, *, to: str = TO, sender: str = SENDER, **receipt: Any) -> dict[str, Any]:
    verdicts = {f"{name}Verdict": {"status": "PASS"} for name in ("spam", "virus", "spf", "dkim", "dmarc")}
    document = {
        "notificationType": "Received",
        "mail": {"source": sender, "destination": [to], "commonHeaders": {"from": [f"Customer <{sender}>"]}},
        "receipt": {
            "recipients": [one.strip() for one in to.split(",")],
            "action": {"type": "SNS", "encoding": "BASE64", "topicArn": TOPIC},
            **verdicts,
            **receipt,
        },
    }
    return document if content is None else document | {"content": b64encode(content).decode()}


def notice(message: Any, **changes: Any) -> Notice:
    fields: dict[str, Any] = {
        "type": "Notification",
        "message_id": "5e2f0c9d",
        "topic_arn": TOPIC,
        "message": message if isinstance(message, str) else json.dumps(message),
        "subject": "Amazon SES Email Receipt Notification",
        "timestamp": stamp(NOW),
        "signature_version": "2",
        "signature": "",
        "signing_cert_url": CERTIFICATE,
    }
    return Notice(**(fields | changes))


def by_sns(document: Notice, *, key: rsa.RSAPrivateKey = SNS_KEY, **tampered: Any) -> Sending:
    signed = msgspec.structs.replace(document, signature=sign(document, key))
    fields = {name: value for name, value in msgspec.to_builtins(signed).items() if value is not None}
    headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": document.type}
    return Sending(path="/ses", body=json.dumps(fields | tampered).encode(), headers=headers)


def by_ses(content: bytes, *, to: str = TO, sender: str = SENDER, **changes: Any) -> Sending:
    return by_sns(notice(received(content, to=to, sender=sender), **changes))


BY: Mapping[str, Callable[..., Sending]] = {
    "sendgrid": by_sendgrid,
    "mailgun": by_mailgun,
    "postmark": by_postmark,
    "ses": by_ses,
}


@dataclass(frozen=True)
class Patience:
    """After which answers a provider comes again."""

    taken: Callable[[int], bool]
    again: Callable[[int], bool]


PATIENCE: Mapping[str, Patience] = {
    "sendgrid": Patience(lambda status: status // 100 == 2, lambda status: status >= 500),
    "mailgun": Patience(lambda status: status == 200, lambda status: status not in (200, 406)),
    "postmark": Patience(lambda status: status == 200, lambda status: status not in (200, 403)),
    "ses": Patience(lambda status: status // 100 == 2, lambda status: status >= 500 or status == 429),
}


def as_by_lf(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")
