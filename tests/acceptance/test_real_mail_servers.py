"""Between mail servers nobody here wrote: Postfix in front, swaks as a sender, Dovecot to fetch from."""

import json
import os
import shutil
import signal
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.acceptance.conftest import Gateway
from tests.acceptance.load import TIERS
from tests.acceptance.postfix import PROGRAM as POSTFIX
from tests.acceptance.postfix import Postfix, relaying
from tests.channels.conftest import account, dovecot
from tests.channels.dovecot import PASSWORD, Account
from tests.gateway.servers import eventually
from tests.support import free_port

__all__ = ["account", "dovecot"]

SWAKS = shutil.which("swaks")
MAIL = (
    "From: =?utf-8?b?6rmA66+87IiY?= <minsu@acme.example>\r\nTo: support@example.com\r\n"
    "Subject: =?utf-8?b?6rKw7KCcIOyYpOulmA==?=\r\nMessage-ID: <1@acme.example>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "영수증이 두 번 결제됐어요.\r\n.점으로 시작하는 줄\r\n"
).encode()


def needed(there: object, name: str, package: str) -> None:
    """Skip where a program is missing; fail where none may be."""
    if not there:
        assert "CI" not in os.environ, f"{name} is not installed"
        pytest.skip(f"{name} is not installed (Debian: apt install {package})")


@contextmanager
def postfix_before(gateway: Gateway) -> Iterator[Postfix]:
    needed(POSTFIX, "postfix", "postfix")
    if os.geteuid() != 0:
        assert "CI" not in os.environ, "Postfix is started by root alone"
        pytest.skip("Postfix is started by root alone")
    with relaying(gateway.smtp) as server:
        yield server


def published(gateway: Gateway) -> list[dict[str, Any]]:
    with gateway.redis() as redis:
        entries = [fields for tier in TIERS for _, fields in redis.xrange(f"{{tickets}}:{tier}")]
    return [json.loads(fields["event"]) for fields in entries]


def test_a_mail_that_postfix_relays_is_on_the_stream_as_it_was_sent(gateway: Gateway):
    with postfix_before(gateway) as postfix:
        postfix.send(MAIL, sender="minsu@acme.example", to="support@example.com")
        (event,) = eventually(lambda: published(gateway))
        eventually(lambda: f"status=sent (250 2.0.0 accepted {event['id']}" in postfix.logged())
    data = event["data"]
    assert (data["subject"], data["requester"]["name"]) == ("결제 오류", "김민수")
    assert data["text"].splitlines() == ["영수증이 두 번 결제됐어요.", ".점으로 시작하는 줄"]
    assert (data["medium"], data["mail"]["return_path"]) == ("smtp", "minsu@acme.example")
    assert [one["value"] for one in data["recipients"]] == ["support@example.com"]


def test_postfix_keeps_what_comes_while_the_gateway_is_away(gateway: Gateway):
    with postfix_before(gateway) as postfix:
        gateway.stop(signal.SIGKILL)
        for number in range(3):
            mail = MAIL.replace(b"<1@", b"<%d@" % number)
            postfix.send(mail, sender="minsu@acme.example", to="support@example.com")
        eventually(lambda: postfix.queued() == 3)
        gateway.start()
        eventually(lambda: len(published(gateway)) == 3)
        eventually(lambda: postfix.queued() == 0)
    assert {event["data"]["external_id"] for event in published(gateway)} == {f"<{n}@acme.example>" for n in range(3)}


def test_postfix_makes_a_bounce_of_a_refused_recipient_and_it_comes_back_to_us(gateway: Gateway):
    with postfix_before(gateway) as postfix:
        ours = b"From: support@example.com\r\nTo: nobody@example.com\r\nMessage-ID: <ours-1@example.com>\r\n"
        postfix.send(
            ours + b"Subject: Your ticket\r\n\r\nAn answer.\r\n", sender="support@example.com", to="nobody@example.com"
        )
        (event,) = eventually(lambda: published(gateway))
        assert "550 5.1.1 no such mailbox here" in postfix.logged()
    assert event["type"] == "support.bounce.received.v1"
    data = event["data"]
    assert data["flags"]["bounce"] == "5.1.1"
    assert data["mail"]["bounce"]["original_message_id"] == "<ours-1@example.com>"
    (report,) = data["mail"]["bounce"]["recipients"]
    assert (report["recipient"], report["action"], report["status"]) == ("nobody@example.com", "failed", "5.1.1")


class Secured:
    """A gateway with an inbox that has a certificate."""

    def __init__(self, gateway: Gateway, folder: Path, more: str) -> None:
        self.gateway, self.port, self.ca = gateway, free_port(), folder / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        tls = f'{{certificate: "{folder}/certificate.pem", key: "{folder}/key.pem"{more}}}'
        listen = f"127.0.0.1:{self.port}"
        gateway.configure(
            more=f'  secure: {{type: email, listen: "{listen}", recipients: [secure@example.com], tls: {tls}}}\n'
        )
        gateway.start()

    def swaks(self, *options: str) -> subprocess.CompletedProcess[str]:
        assert SWAKS is not None
        to = ["--server", f"127.0.0.1:{self.port}", "--to", "secure@example.com", "--from", "minsu@acme.example"]
        return subprocess.run(
            [SWAKS, *to, "--header", "Subject: over TLS", "--body", "hello", *options],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )


@pytest.fixture
def swaks() -> None:
    needed(SWAKS, "swaks", "swaks libnet-ssleay-perl")
    speaks_tls = subprocess.run(["perl", "-MNet::SSLeay", "-e", ""], stderr=subprocess.DEVNULL, check=False)
    needed(speaks_tls.returncode == 0, "Net::SSLeay", "libnet-ssleay-perl")


@pytest.mark.usefixtures("swaks")
def test_swaks_delivers_over_starttls(new_gateway, tmp_path: Path):
    secured = Secured(new_gateway(), tmp_path, "")
    done = secured.swaks("--tls", "--tls-verify", "--tls-ca-path", str(secured.ca))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TLS started with cipher" in done.stdout
    assert "250 2.0.0 accepted" in done.stdout
    (event,) = published(secured.gateway)
    assert (event["data"]["subject"], event["data"]["text"]) == ("over TLS", "hello")
    assert (event["data"]["inbox"], event["id"] in done.stdout) == ("secure", True)


@pytest.mark.usefixtures("swaks")
def test_swaks_is_refused_in_clear_where_tls_is_required(new_gateway, tmp_path: Path):
    secured = Secured(new_gateway(), tmp_path, ", mode: required")
    in_clear = secured.swaks()
    assert in_clear.returncode != 0
    assert "530 5.7.0" in in_clear.stdout
    assert published(secured.gateway) == []
    if_offered = secured.swaks("--tls-optional", "--tls-verify", "--tls-ca-path", str(secured.ca))
    assert if_offered.returncode == 0, if_offered.stdout + if_offered.stderr
    assert "TLS started with cipher" in if_offered.stdout
    assert len(published(secured.gateway)) == 1


def fetch_too(gateway: Gateway, account: Account) -> None:
    """Let its inbox fetch from the mailbox as well."""
    inbox, text = "recipients: [support@example.com, billing@example.com]", gateway.config.read_text(encoding="utf-8")
    assert inbox in text
    imap = json.dumps(account.settings(since="all"))
    gateway.config.write_text(text.replace(inbox, f"{inbox}, imap: {imap}"), encoding="utf-8")


def test_a_mailbox_on_dovecot_is_fetched_from_on_and_on_whatever_happens_to_the_gateway(new_gateway, account: Account):
    gateway = new_gateway()
    fetch_too(gateway, account)
    account.put(MAIL)
    gateway.start()
    eventually(lambda: len(published(gateway)) == 1)
    gateway.stop(signal.SIGKILL)
    account.put(MAIL.replace(b"<1@", b"<2@"))
    gateway.start()
    eventually(lambda: len(published(gateway)) == 2)
    assert gateway.stop() == 0
    gateway.start()
    account.put(MAIL.replace(b"<1@", b"<3@"))
    eventually(lambda: len(published(gateway)) == 3)
    assert [event["data"]["medium"] for event in published(gateway)] == ["imap"] * 3
    for word in ("minsu", account.user, PASSWORD):
        assert word not in gateway.logged()


def test_a_mail_that_came_by_smtp_is_no_second_ticket_when_it_is_fetched(new_gateway, account: Account):
    gateway = new_gateway()
    fetch_too(gateway, account)
    gateway.start()
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=30) as client:
        client.sendmail("minsu@acme.example", ["support@example.com"], MAIL)
    account.put(b"Return-Path: <minsu@acme.example>\r\nDelivered-To: support@example.com\r\n" + MAIL)
    account.put(MAIL.replace(b"<1@", b"<2@"))
    eventually(lambda: len(published(gateway)) == 2)
    assert [event["data"]["medium"] for event in published(gateway)] == ["smtp", "imap"]
    assert gateway.logged().count("message.accepted") == 3


def test_a_large_mail_from_a_mailbox_is_kept_whole(new_gateway, account: Account):
    gateway = new_gateway()
    fetch_too(gateway, account)
    large = MAIL + "긴 줄입니다.\r\n".encode() * 300_000
    account.put(large)
    gateway.start()
    (event,) = eventually(lambda: published(gateway))
    raw = Path(event["data"]["raw"]["uri"].removeprefix("file://"))
    assert raw.read_bytes() == large
    assert event["data"]["text"].startswith("영수증이 두 번 결제됐어요.")
