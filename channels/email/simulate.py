"""A sample mail, sent as any mail server would send it, or as a provider posts it."""

import asyncio
import re
import smtplib
import ssl
from base64 import b64encode, encodebytes
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.utils import formatdate, make_msgid, parseaddr
from typing import Final

from channels.api import FrontDoor, SimulateError
from channels.email.settings import EmailSettings
from channels.email.webhooks.rehearsal import PROVIDERS, sending, usual
from channels.sample_posts import send
from normalizers import charsets

KEYS: Final = ("from", "to", "subject", "text", "message_id", "charset", "via")
PATIENCE: Final = 70.0
"""Seconds for each answer; longer than the server waits for itself by default."""

_CRLF: Final = b"\r\n"


async def simulate(settings: EmailSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """`--set` keys are `KEYS`; Date, and Message-ID where it is not set, are new each time.

    `via` is smtp or a provider that is configured; where there is no SMTP server, such a provider.
    """
    if unknown := sorted(set(overrides) - set(KEYS)):
        raise SimulateError(f"email cannot set {', '.join(unknown)}; it can set {', '.join(KEYS)}")
    via = overrides.get("via") or ("smtp" if settings.endpoint else usual(settings.webhooks))
    if via not in ("smtp", *PROVIDERS):
        raise SimulateError(f"via is smtp, {', '.join(PROVIDERS)}, not {via}")
    to = overrides.get("to") or settings.sample_recipient
    content = compose(sample, {**overrides, "to": to})
    sender = parseaddr(overrides.get("from") or str(message_from_bytes(content)["From"] or ""))[1]
    if via == "smtp":
        return await asyncio.to_thread(_send, settings, sender, parseaddr(to)[1], content)
    post = sending(via, settings.webhooks, sender, parseaddr(to)[1], content)
    status, answer = await send(door.url + post.path, post.body, post.headers)
    text = _line(answer)
    if status != 200:
        raise SimulateError(f"the gateway refused it: {status} {text}")
    return f"{status} {text}"


def compose(sample: bytes, overrides: Mapping[str, str]) -> bytes:
    """The sample as it goes out; what is not overridden keeps its bytes. Raises SimulateError."""
    sample = re.sub(rb"\r?\n", _CRLF, sample)
    head, _, body = sample.partition(_CRLF * 2)
    charset = overrides.get("charset", "utf-8")
    new = {
        "Date": formatdate().encode("ascii"),
        "Message-ID": (overrides.get("message_id") or make_msgid(domain="simulate.example")).encode(),
    }
    try:
        for name in ("From", "To", "Subject"):
            if value := overrides.get(name.lower()):
                new[name] = _header(name, value, charset)
        if "text" in overrides or "charset" in overrides:
            body = encodebytes((overrides.get("text") or _text(sample)).encode(charset)).replace(b"\n", _CRLF)
            new["MIME-Version"] = b"1.0"
            new["Content-Type"] = f'text/plain; charset="{charset}"'.encode("ascii")
            new["Content-Transfer-Encoding"] = b"base64"
    except (LookupError, UnicodeError) as error:
        raise SimulateError(f"the mail cannot be written in the charset {charset!r}") from error
    replaced = {name.lower().encode("ascii") for name in new}
    kept = [line for name, line in _fields(head) if name not in replaced]
    added = [b"%b: %b" % (name.encode("ascii"), value) for name, value in new.items()]
    return _CRLF.join([*added, *kept, b"", body])


def _fields(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name in lower case and whole field, folded as it stands."""
    for field in re.split(rb"\r\n(?![ \t])", head):
        if field:
            yield field.partition(b":")[0].strip().lower(), field


def _header(name: str, value: str, charset: str) -> bytes:
    """ASCII as it is typed, so that odd headers can be tried; else in encoded words."""
    if value.isascii():
        return value.encode("ascii")
    shown, address = parseaddr(value)
    if name == "Subject" or not address:
        return _encoded(value, charset)
    if shown.isascii():
        return value.encode()
    return _encoded(shown, charset) + f" <{address}>".encode()


def _encoded(text: str, charset: str) -> bytes:
    # email.header.Header writes cp949 with the EUC-KR codec, and so other bytes than Outlook does.
    pieces = (text[start : start + 10] for start in range(0, len(text), 10))
    words = (b64encode(piece.encode(charset)).decode("ascii") for piece in pieces)
    return "\r\n ".join(f"=?{charset}?B?{word}?=" for word in words).encode("ascii")


def _text(sample: bytes) -> str:
    for part in message_from_bytes(sample).walk():
        payload = part.get_payload(decode=True)
        if part.get_content_maintype() == "text" and isinstance(payload, bytes):
            return charsets.decode(payload, part.get_content_charset(""))
    return ""


def _send(settings: EmailSettings, sender: str, to: str, content: bytes) -> str:
    if settings.endpoint is None:
        how = ", and its mail is fetched: send it to the mailbox" if settings.imap else ""
        raise SimulateError(f"this inbox has no SMTP server: its listen is null{how}")
    host, port = settings.endpoint
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    international = not (sender + to).isascii()
    options = ["BODY=8BITMIME", *(["SMTPUTF8"] if international else [])]
    try:
        with _connected(settings, host, port) as client:
            client.ehlo()
            if settings.tls and settings.tls.mode != "implicit":
                client.starttls(context=_trusting())
                client.ehlo()
            if international:
                client.command_encoding = "utf-8"
            _expect(client.mail(sender, options))
            _expect(client.rcpt(to))
            return _expect(client.data(content))
    except ConnectionRefusedError as error:
        raise SimulateError(f"nothing listens on {settings.listen}: is the gateway running? (make run)") from error
    except smtplib.SMTPResponseException as error:
        raise SimulateError(f"the gateway refused it: {error.smtp_code} {_line(error.smtp_error)}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise SimulateError(f"the connection to {settings.listen} broke: {error}") from error


def _connected(settings: EmailSettings, host: str, port: int) -> smtplib.SMTP:
    # Without a name of its own smtplib asks the resolver for one, which can take seconds.
    if settings.tls and settings.tls.mode == "implicit":
        return smtplib.SMTP_SSL(host, port, "simulate.example", timeout=PATIENCE, context=_trusting())
    return smtplib.SMTP(host, port, "simulate.example", timeout=PATIENCE)


def _trusting() -> ssl.SSLContext:
    """It knocks at an address, not at the name in the certificate: `doctor` looks at that."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _expect(answer: tuple[int, bytes]) -> str:
    code, text = answer
    if code >= 400:
        raise SimulateError(f"the gateway refused it: {code} {_line(text)}")
    return f"{code} {_line(text)}"


def _line(answer: bytes | str) -> str:
    text = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
    return " ".join(text.split())
