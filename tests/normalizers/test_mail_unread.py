"""What is certain of a mail that could not be read."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from normalizers.email import MailPayload, normalize, unread
from normalizers.mail import unread as unread_module
from normalizers.mailed import Authentication, Dmarc, Mail
from normalizers.message import Address, Flags, Kind, Message, Proof
from tests.normalizers.torture import TORTURE

DIGEST = "5" * 64
MAIL = (
    b"From: =?utf-8?b?6rmA66+87IiY?= <minsu@acme.example>\r\nSubject: =?utf-8?b?6rKw7KCcIOyYpOulmA==?=\r\n"
    b"Date: Fri, 20 Nov 2026 09:00:00 +0900\r\nMessage-ID: <2@acme.example>\r\nReferences: <1@acme.example>\r\n\r\nhi"
)


def little(content: bytes, **known: Any) -> Message:
    (message,) = unread(MailPayload(content=content, recipients=("support@example.com",), **known), DIGEST)
    return message


def test_who_wrote_when_about_what() -> None:
    message = little(MAIL)
    assert message.kind is Kind.MESSAGE
    assert (message.requester.name, message.subject, message.text) == ("김민수", "결제 오류", "")
    assert message.requester.addresses == (Address("email", "minsu@acme.example"),)
    assert message.recipients == (Address("email", "support@example.com"),)
    assert message.sent_at is not None
    assert message.sent_at.astimezone(UTC) == datetime(2026, 11, 20, tzinfo=UTC)
    assert [warning.code for warning in message.warnings] == ["unread"]


def test_it_is_of_the_mails_conversation_and_no_duplicate_of_the_mail() -> None:
    (read,) = normalize(MailPayload(content=MAIL))
    message = little(MAIL)
    assert (message.external_id, message.thread.key) == (read.external_id, read.thread.key)
    assert message.identity == f"unread {DIGEST}" != read.identity


def test_a_mail_without_an_id_is_known_by_its_digest() -> None:
    assert little(b"\xff" * 100).external_id == f"sha256:{DIGEST}"


def test_nobody_is_verified_by_a_look_at_the_head() -> None:
    assert little(MAIL).proof is Proof.CLAIMED
    assert little(b"From: a@b.kr, c@d.kr\r\n\r\n").proof is Proof.SUSPECT
    assert little(b"nothing").proof is Proof.ANONYMOUS


def test_a_forgery_stays_one_when_it_cannot_be_read() -> None:
    disowned = Authentication(source="gateway", dmarc=Dmarc(result="fail", domain="acme.example", policy="reject"))
    message = little(MAIL, authentication=disowned, mail_from="x@evil.example")
    assert message.proof is Proof.SUSPECT
    assert "dmarc=fail p=reject" in message.evidence
    assert message.mail == Mail(return_path="x@evil.example", authentication=disowned)


@pytest.mark.parametrize(
    "head",
    [
        b"From: vip@bank.kr\r\n" + b"X-Filler: y\r\n" * 2000 + b"From: c@d.kr\r\n\r\n",
        b"From: vip@bank.kr" + b"\r\n " * 1000 + b", c@d.kr\r\n\r\n",
    ],
    ids=["another From further on", "a From that goes on"],
)
def test_who_may_be_named_beyond_what_is_looked_at_is_suspect(head: bytes) -> None:
    assert (little(head).proof, little(head).evidence[0]) == (Proof.SUSPECT, "head_cut")


def test_a_machine_that_cannot_be_read_is_a_machine() -> None:
    assert little(MAIL, null_sender=True).flags == Flags(auto_reply=True)
    assert little(b"Auto-Submitted: auto-replied\r\nList-Id: <a.b>\r\n\r\n").flags == Flags(auto_reply=True, list=True)
    assert little(MAIL).flags == Flags()


@pytest.mark.parametrize("name", ["read_headers", "message_id", "read_author", "thread_of", "decode_words"])
def test_whatever_fails_fails_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_module, name, broken)
    message = little(MAIL)
    assert message.identity == f"unread {DIGEST}"
    found = [message.requester.addresses, message.subject, message.sent_at, message.thread.parent]
    assert [bool(one) for one in found].count(False) == {"read_headers": 4, "message_id": 0}.get(name, 1)


@pytest.mark.parametrize("make", TORTURE.values(), ids=TORTURE)
def test_no_mail_is_too_odd_for_it(make: Callable[[int], bytes]) -> None:
    assert little(make(50_000)).identity


def broken(*_: object, **__: object) -> None:
    raise RuntimeError
