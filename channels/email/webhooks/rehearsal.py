"""Posts as the providers send them, for `simulate`: signed with what the settings hold."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from secrets import token_hex
from typing import Final
from urllib.parse import urlencode
from uuid import uuid4

import msgspec

from channels.api import SimulateError
from channels.email.webhooks.credentials import authorization
from channels.email.webhooks.settings import MailgunSettings, PostmarkSettings, SendGridSettings, WebhookSettings
from channels.verify import hmac_sha256_hex

PROVIDERS: Final = ("mailgun", "postmark", "sendgrid", "ses")


@dataclass(frozen=True, kw_only=True)
class Sending:
    """One POST, below the address of the inbox."""

    path: str
    body: bytes
    headers: Mapping[str, str]


def sending(provider: str, settings: WebhookSettings, sender: str, to: str, content: bytes) -> Sending:
    """As the provider would send this mail. Raises SimulateError in words where only the provider could."""
    section = getattr(settings, provider)
    if section is None:
        raise SimulateError(f"webhooks.{provider} of this inbox is not configured")
    if isinstance(section, MailgunSettings):
        return mailgun(section, sender, to, content)
    if isinstance(section, PostmarkSettings):
        return postmark(section, sender, to, content)
    if isinstance(section, SendGridSettings) and not section.public_keys:
        return sendgrid(section, sender, to, content)
    raise SimulateError(f"only {provider} itself has the key that signs its posts: try another door")


def usual(settings: WebhookSettings) -> str:
    """A provider that is configured, and can be rehearsed if any can; smtp where there is none."""
    return next((name for name in PROVIDERS if getattr(settings, name) is not None), "smtp")


def mailgun(settings: MailgunSettings, sender: str, to: str, content: bytes, *, at: float | None = None) -> Sending:
    """A form."""
    timestamp, token = str(int(time.time() if at is None else at)), token_hex(25)
    form = {
        "recipient": to,
        "sender": sender,
        "timestamp": timestamp,
        "token": token,
        "signature": hmac_sha256_hex(settings.signing_keys[0], (timestamp + token).encode()),
        "body-mime": content,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Sending(path="/mailgun/mime", body=urlencode(form).encode(), headers=headers)


def postmark(settings: PostmarkSettings, sender: str, to: str, content: bytes) -> Sending:
    """JSON; bytes that are no UTF-8 cannot be said in it."""
    document = {
        "FromFull": {"Email": sender, "Name": "", "MailboxHash": ""},
        "OriginalRecipient": to,
        "MailboxHash": to.rpartition("@")[0].partition("+")[2],
        "Subject": str(message_from_bytes(content)["Subject"] or ""),
        "MessageID": str(uuid4()),
        "Headers": [{"Name": "Return-Path", "Value": f"<{sender}>"}],
        "RawEmail": content.decode("utf-8", "replace"),
    }
    headers = {"Content-Type": "application/json", **authorization(settings.credentials[0])}
    return Sending(path="/postmark", body=msgspec.json.encode(document), headers=headers)


def sendgrid(settings: SendGridSettings, sender: str, to: str, content: bytes) -> Sending:
    """A multipart form."""
    envelope = msgspec.json.encode({"to": [to], "from": sender})
    fields = [(b"to", to.encode()), (b"envelope", envelope), (b"sender_ip", b"127.0.0.1"), (b"email", content)]
    content_type, body = multipart(fields)
    return Sending(path="/sendgrid", body=body, headers={"Content-Type": content_type, **_authorization(settings)})


def multipart(fields: Sequence[tuple[bytes, bytes]]) -> tuple[str, bytes]:
    """Content-Type and body of a form."""
    boundary = token_hex(16)
    head = b"--%b\r\nContent-Disposition: form-data; name=" % boundary.encode()
    parts = (b'%b"%b"\r\n\r\n%b\r\n' % (head, name, value) for name, value in fields)
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + b"--%b--\r\n" % boundary.encode()


def _authorization(settings: SendGridSettings) -> Mapping[str, str]:
    return authorization(settings.credentials[0]) if settings.credentials else {}
