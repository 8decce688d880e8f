"""Objects in a bucket: a real gateway before a real S3 server that goes away, and a reader without access to it."""

import hashlib
import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from random import Random

import pytest

from tests.acceptance.conftest import Gateway
from tests.gateway.s3_server import S3Server

TOKEN = "the-core"
RECEIPT = b"%PDF-1.7\n" + Random(1).randbytes(400_000)


@pytest.fixture
def s3() -> Iterator[S3Server]:
    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gateway(new_gateway: Callable[[], Gateway], s3: S3Server) -> Gateway:
    """A gateway that listens and keeps its objects in the bucket."""
    gateway = new_gateway()
    access = dict(s3.access)
    objects = {
        "url": "s3://tickets/desk",
        "endpoint": s3.endpoint,
        "region": access.pop("region"),
        "options": access,
        "readers": [{"name": "core", "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}],
    }
    text = gateway.config.read_text(encoding="utf-8")
    ours = f'objects: {{url: "file://{gateway.folder}/objects"}}'
    assert ours in text
    gateway.config.write_text(text.replace(ours, f"objects: {json.dumps(objects)}"), encoding="utf-8")
    gateway.start()
    return gateway


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "김민수 <minsu@acme.example>"
    message["To"] = "support@example.com"
    message["Subject"] = "영수증"
    message["Message-ID"] = "<1@acme.example>"
    message.set_content("영수증을 보냅니다.\n")
    message.add_attachment(RECEIPT, maintype="application", subtype="pdf", filename="영수증.pdf")
    return message


def send(gateway: Gateway) -> tuple[int, bytes]:
    """The answer to the message."""
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=30) as client:
        client.ehlo()
        client.mail("minsu@acme.example")
        client.rcpt("support@example.com")
        return client.data(mail().as_bytes())


def test_mail_waits_for_the_bucket_and_its_file_comes_back_by_http(gateway, s3):
    s3.stop()
    assert send(gateway)[0] == 451
    with gateway.redis() as redis:
        assert redis.exists("{tickets}:premium", "{tickets}:dead") == 0
    s3.start()
    assert send(gateway)[0] == 250
    with gateway.redis() as redis:
        ((_, fields),) = redis.xrange("{tickets}:premium")
    data = json.loads(fields["event"])["data"]
    (attachment,) = data["attachments"]
    assert attachment["uri"] == f"s3://tickets/desk/attachments/{attachment['sha256'][:2]}/{attachment['sha256']}"
    assert download(gateway, f"attachments/{attachment['sha256']}?name=receipt.pdf") == RECEIPT
    assert hashlib.sha256(download(gateway, f"raw/{data['raw']['sha256']}")).hexdigest() == data["raw"]["sha256"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        download(gateway, f"attachments/{attachment['sha256']}", token="guessed")
    assert '"event":"object.read","reader":"core"' in gateway.logged()


def download(gateway: Gateway, what: str, token: str = TOKEN) -> bytes:
    request = urllib.request.Request(f"{gateway.url}/objects/{what}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
        return body
