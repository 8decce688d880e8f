"""What fetching is made of: settings, the header of a mail in its mailbox, line ends, places, tokens."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.email.imap import troubles
from channels.email.imap.letters import Letter, notice
from channels.email.imap.places import Place, read_places, written
from channels.email.imap.settings import ImapSettings, OAuth2Settings
from channels.email.imap.tokens import Tokens
from channels.email.imap.troubles import LinkDown, LoginRefused, MailboxError, Throttled
from channels.email.line_ends import as_by_smtp, pieces_as_by_smtp
from channels.email.smtp.mailboxes import Mailboxes
from tests.channels.oauth2_provider import CLIENT_ID, CLIENT_SECRET, OAuth2Provider

PLAIN: dict[str, Any] = {"host": "imap.example.com", "user": "desk", "password": "secret-1"}


def find(address: str) -> str | None:
    found = Mailboxes(["support@example.com", "billing@example.com"]).find(address)
    return found if isinstance(found, str) else None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": None}, "either password or oauth2"),
        ({"oauth2": {"token": "t"}}, "either password or oauth2"),
        ({"host": "imaps://imap.example.com"}, "without scheme and port"),
        ({"host": "imap.example.com:993"}, "without scheme and port"),
        ({"host": ""}, "without scheme and port"),
        ({"tls": "none"}, "for a server on this machine"),
        ({"folders": ["INBOX", "INBOX"]}, "names one twice"),
        ({"folders": []}, "at least 1 item"),
        ({"since": "yesterday"}, "since"),
        ({"poll": "0"}, "greater than"),
        ({"user": "desk\r\nA1 DELETE INBOX"}, "control characters"),
        ({"password": None, "oauth2": {}}, "needs one of"),
        ({"password": None, "oauth2": {"token": "t", "token_command": ["x"]}}, "needs one of"),
        ({"password": None, "oauth2": {"token": "t", "client_id": "x"}}, "go with token_url"),
        ({"password": None, "oauth2": {"token_url": "https://x.example/token"}}, "needs client_id"),
        ({"password": None, "oauth2": {"token_url": "https://x.example/t", "client_id": "x"}}, "client_secret"),
        (
            {"password": None, "oauth2": {"token_url": "http://x.example/t", "client_id": "x", "client_secret": "y"}},
            "https://",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(changes: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        ImapSettings.model_validate(PLAIN | changes)


@pytest.mark.parametrize(
    ("changes", "port"),
    [
        ({}, 993),
        ({"tls": "starttls"}, 143),
        ({"host": "[2001:db8::1]"}, 993),
        ({"tls": "none", "host": "::1"}, 143),
        ({"port": 9}, 9),
    ],
)
def test_the_port_goes_by_how_the_connection_is_secured(changes: dict[str, Any], port: int):
    assert ImapSettings.model_validate(PLAIN | changes).endpoint[1] == port


@pytest.mark.parametrize(
    ("header", "recipients"),
    [
        ("Delivered-To: billing@example.com\r\nTo: support@example.com", ["billing@example.com"]),
        ("X-Original-To: Support+t.Xy@Example.com\r\nDelivered-To: all@example.com", ["support+t.Xy@example.com"]),
        ("Delivered-To: all@example.com\r\nTo: x@y.example, Billing <billing@example.com>", ["billing@example.com"]),
        ("To: a@b.example\r\nCc: =?utf-8?q?x?= <support@example.com>,\r\n billing@example.com", None),
        ("To: a list:;\r\nCc: <support@example.com", ["support@example.com"]),
        ("Delivered-To: billing@example.com\r\nDelivered-To: billing@example.com", ["billing@example.com"]),
        ("Subject: a list mail", ["support@example.com"]),
        ("To: somebody@elsewhere.example", ["support@example.com"]),
        ("", ["support@example.com"]),
    ],
)
def test_whom_a_mail_is_for(header: str, recipients: list[str] | None):
    letter = Letter(header.encode() + b"\r\n\r\nTo: billing@example.com\r\n")
    both = ("support@example.com", "billing@example.com")
    assert letter.recipients(find, "support@example.com") == (both if recipients is None else tuple(recipients))


@pytest.mark.parametrize(
    ("header", "mail_from"),
    [
        ("Return-Path: <a@b.example>\r\nFrom: c@d.example", "a@b.example"),
        ("Return-Path: <>\r\nFrom: c@d.example", ""),
        ("From: Somebody <c@d.example>", "c@d.example"),
        ("Return-Path: root\r\nFrom: c@d.example", "c@d.example"),
        ("Subject: nobody", ""),
    ],
)
def test_who_sent_it_as_the_last_server_noted(header: str, mail_from: str):
    assert Letter(header.encode() + b"\r\n\r\n").mail_from == mail_from


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"bc\r\n", b"\r\r\n"])), st.integers(1, 7))
def test_a_mail_in_pieces_has_the_line_ends_of_the_whole(parts: list[bytes], size: int):
    content = b"".join(parts)
    pieces = iter([content[at : at + size] for at in range(0, len(content), size)])
    assert b"".join(pieces_as_by_smtp(pieces)) == as_by_smtp(content)


def test_a_notice_says_where_the_mail_is_and_takes_over_no_part_of_it():
    header = (
        b"From: a@b.example\nSubject: =?utf-8?b?6rKw7KCc?=\n folded\nMessage-ID: <1@b.example>\n"
        b"Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\nDKIM-Signature: v=1\n\n"
    )
    assert notice(header, "문의", 7, "it is too large").decode() == (
        "From: a@b.example\r\nSubject: =?utf-8?b?6rKw7KCc?=\r\n folded\r\nMessage-ID: <1@b.example>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "[The gateway did not bring this mail here: it is too large.\r\n"
        "It is in the mailbox: folder 문의, UID 7. Read it there.]\r\n"
    )


def test_places_are_read_as_they_were_written():
    at = datetime(2026, 1, 2, tzinfo=UTC)
    places = {"INBOX": Place(validity=7, uid=12, at=at), "문의": Place(validity=1, uid=0, at=at)}
    assert read_places(written(places)) == places
    assert read_places(None) == {}


@pytest.mark.parametrize("kept", ["", "17", "[]", '{"INBOX": 5}', '{"INBOX": {"uid": 1}}'])
def test_a_cursor_of_something_else_is_no_place(kept: str):
    with pytest.raises(msgspec.DecodeError):
        read_places(kept)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[AUTHENTICATIONFAILED] Authentication failed.", LoginRefused),
        ("LOGIN failed.", LoginRefused),
        ("[UNAVAILABLE] Temporary authentication failure.", LinkDown),
        ("[ALERT] Too many simultaneous connections. (Failure)", Throttled),
        ("[LIMIT] Rate limit hit.", Throttled),
        ("Request is throttled. Suggested Backoff Time: 1500 milliseconds", Throttled),
    ],
)
def test_what_a_refused_login_means(said: str, kind: type[MailboxError]):
    error = troubles.login_failed(said)
    assert type(error) is kind
    assert getattr(error, "seconds", None) == (1.5 if "1500" in said else None)
    assert said not in str(error)


async def test_a_refresh_token_that_the_provider_replaces_is_not_used_again():
    with OAuth2Provider() as provider:
        answers: Iterator[dict[str, Any]] = iter(
            [{"access_token": "a", "refresh_token": "refresh-2", "expires_in": 1}, {"access_token": "b"}]
        )
        provider.grant = lambda: next(answers)
        tokens = Tokens(OAuth2Settings.model_validate(provider.settings(scope="mail")), 5)
        assert [await tokens.get(), await tokens.get(), await tokens.get()] == ["a", "b", "b"]
    assert [form["refresh_token"] for form in provider.asked] == ["refresh-1", "refresh-2"]
    assert provider.asked[0] | {"grant_type": "refresh_token", "scope": "mail"} == provider.asked[0]


async def test_without_a_refresh_token_the_application_asks_for_itself():
    with OAuth2Provider() as provider:
        await Tokens(OAuth2Settings.model_validate(provider.settings(refresh_token=None)), 5).get()
    named = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert provider.asked == [{"grant_type": "client_credentials", **named}]


@pytest.mark.parametrize(
    ("status", "error"), [(400, LoginRefused), (401, LoginRefused), (503, LinkDown), (302, LinkDown)]
)
async def test_a_provider_that_gives_no_token(status: int, error: type[MailboxError]):
    with OAuth2Provider() as provider:
        provider.status = status
        with pytest.raises(error):
            await Tokens(OAuth2Settings.model_validate(provider.settings()), 5).get()


@pytest.mark.parametrize(
    "command",
    [
        ["/no/such/program"],
        [sys.executable, "-c", "raise SystemExit(1)"],
        [sys.executable, "-c", "print()"],
        [sys.executable, "-c", "import time; time.sleep(60)"],
    ],
    ids=["none", "fails", "says nothing", "never ends"],
)
async def test_a_command_that_gives_no_token(command: list[str]):
    with pytest.raises(LinkDown, match="no token from the command"):
        await Tokens(OAuth2Settings.model_validate({"token_command": command}), 1).get()


def test_what_stands_in_for_a_mail_washes_no_author_clean():
    header = (
        b"Authentication-Results: mx.example.com; dmarc=fail header.from=bank.kr\r\n"
        b"From: vip@bank.kr\r\nSubject: hi\r\nSubject: again\r\nFrom: c@evil.example\r\n\r\n"
    )
    kept = notice(header, "INBOX", 7, "it is too large").decode().split("\r\n")
    assert kept[:3] == [
        "Authentication-Results: mx.example.com; dmarc=fail header.from=bank.kr",
        "From: vip@bank.kr",
        "From: c@evil.example",
    ]
    assert kept.count("Subject: hi") == 1
    assert "Subject: again" not in kept
