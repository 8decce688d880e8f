"""Mail fetched from a real Dovecot."""

import json
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from channels.api import Outcome, Refusal
from channels.email.imap import delivery, poller
from normalizers.email import normalize
from tests.channels.dovecot import PASSWORD, Account
from tests.channels.email_door import listening, stuffed
from tests.channels.imap_door import FetchingHost, fetching, mail
from tests.support import until

SOON = 5.0
"""Seconds a stop may take on a machine that is busy; what it must not wait for takes ten times as long."""


@pytest.fixture
def host(tmp_path: Path) -> FetchingHost:
    return FetchingHost(tmp_path)


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "SHORTEST", 0.01)


def place(host: FetchingHost, folder: str = "INBOX") -> int:
    assert host.cursor.place is not None
    return int(json.loads(host.cursor.place)[folder]["uid"])


async def began(host: FetchingHost) -> None:
    await until(lambda: host.cursor.place is not None)


async def test_a_new_mail_is_fetched_and_its_flags_are_left_alone(account: Account, host: FetchingHost):
    async with fetching(host, **account.settings()):
        await began(host)
        account.put(mail(1))
        assert await host.has(1) == [mail(1)]
    (payload,) = host.payloads
    assert (payload.medium, payload.mail_from) == ("imap", "a@b.example")
    assert payload.recipients == ("support@example.com",)
    account.client.select_folder("INBOX", readonly=True)
    assert b"\\Seen" not in account.client.get_flags([1])[1]


async def test_what_somebody_has_read_already_is_fetched_too(account: Account, host: FetchingHost):
    account.put(mail(1), flags=(b"\\Seen",))
    async with fetching(host, **account.settings(since="all")):
        assert await host.has(1) == [mail(1)]


async def test_what_was_there_before_is_left_unless_it_is_asked_for(account: Account, host: FetchingHost):
    account.put(mail(1))
    async with fetching(host, **account.settings()):
        await began(host)
        account.put(mail(2))
        assert await host.has(1) == [mail(2)]


async def test_fetching_begins_on_a_day(account: Account, host: FetchingHost):
    long_ago = date.today() - timedelta(days=40)
    account.client.append("INBOX", mail(1), (), _noon(long_ago))
    account.client.append("INBOX", mail(2), (), _noon(long_ago + timedelta(days=30)))
    account.put(mail(3))
    async with fetching(host, **account.settings(since=str(long_ago + timedelta(days=20)))):
        assert await host.has(2) == [mail(2), mail(3)]


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


async def test_all_mails_come_in_their_order_in_several_batches(account: Account, host: FetchingHost):
    mails = [mail(number) for number in range(25)]
    for one in mails:
        account.put(one)
    async with fetching(host, **account.settings(since="all", batch=10)):
        assert await host.has(25) == mails
    assert place(host) == 25


async def test_a_new_process_goes_on_where_the_last_one_stopped(account: Account, host: FetchingHost):
    async with fetching(host, **account.settings()):
        await began(host)
        account.put(mail(1))
        await host.has(1)
        await until(lambda: place(host) == 1)
    account.put(mail(2))
    async with fetching(host, **account.settings(since="all")):
        assert await host.has(2) == [mail(1), mail(2)]


async def test_what_cannot_be_kept_is_asked_for_again_and_nothing_overtakes_it(account: Account, host: FetchingHost):
    for number in (1, 2, 3):
        account.put(mail(number))
    host.outcomes = [Outcome.ACCEPTED, Outcome.DEFERRED, Outcome.DEFERRED]
    async with fetching(host, **account.settings(since="all")):
        assert await host.has(3) == [mail(1), mail(2), mail(3)]
        await until(lambda: place(host) == 3)
    assert host.tried == 5


async def test_what_is_kept_as_a_dead_letter_is_behind_us(account: Account, host: FetchingHost):
    account.put(mail(1))
    account.put(mail(2))
    host.outcomes = [Outcome.REJECTED]
    async with fetching(host, **account.settings(since="all")):
        assert await host.has(1) == [mail(2)]
        await until(lambda: place(host) == 2)
    assert host.tried == 2


async def test_gaps_where_mails_were_deleted_are_stepped_over(account: Account, host: FetchingHost):
    for number in range(6):
        account.put(mail(number))
    account.client.select_folder("INBOX")
    account.client.delete_messages([1, 3, 4, 6])
    account.client.expunge()
    account.client.unselect_folder()
    async with fetching(host, **account.settings(since="all")):
        assert await host.has(2) == [mail(1), mail(4)]
        account.put(mail(7))
        assert (await host.has(3))[2] == mail(7)
        await until(lambda: place(host) == 7)


async def test_a_folder_made_anew_is_read_from_where_we_had_looked_last(account: Account, host: FetchingHost):
    account.client.create_folder("문의")
    account.put(mail(1), folder="문의")
    async with fetching(host, **account.settings(since="all", folders=["문의"])):
        await host.has(1)
        await until(lambda: place(host, "문의") == 1)
    account.client.delete_folder("문의")
    account.client.create_folder("문의")
    account.put(mail(1), folder="문의")
    account.put(mail(2), folder="문의")
    with capture_logs() as said:
        async with fetching(host, **account.settings(since="now", folders=["문의"])):
            assert await host.has(3) == [mail(1), mail(1), mail(2)]  # the first is a duplicate for the gateway to tell
    assert [line["event"] for line in said if line["event"] == "folder.renewed"] == ["folder.renewed"]


async def test_the_server_tells_of_a_mail_at_once(account: Account, host: FetchingHost):
    async with fetching(host, **account.settings(poll="1h")):
        await began(host)
        for number in range(3):
            account.put(mail(number))
            await host.has(number + 1)
    assert account.server.connections(account.user) == 2


async def test_without_idle_the_mailbox_is_looked_at_again(account: Account, host: FetchingHost):
    async with fetching(host, **account.settings(idle=False)):
        await began(host)
        account.put(mail(1))
        await host.has(1)


async def test_several_folders_are_read_each_from_its_own_place(account: Account, host: FetchingHost):
    account.client.create_folder("Other")
    for number in (1, 2):
        account.put(mail(number), folder="Other")
    account.put(mail(3))
    async with fetching(host, **account.settings(since="all", folders=["INBOX", "Other"])):
        assert sorted(await host.has(3)) == [mail(1), mail(2), mail(3)]
        account.put(mail(4), folder="Other")
        await host.has(4)
        await until(lambda: place(host, "Other") == 3)
    assert place(host) == 1


async def test_a_folder_that_is_not_there_keeps_nobody_from_the_others(account: Account, host: FetchingHost):
    account.put(mail(1))
    with capture_logs() as said:
        async with fetching(host, **account.settings(since="all", folders=["INBOX", "Late"])):
            await host.has(1)
            await until(lambda: any(line["event"] == "folder.refused" for line in said))
            account.client.create_folder("Late")
            account.put(mail(2), folder="Late")
            await host.has(2)
    told = [line["event"] for line in said if line["event"].startswith("folder.")]
    assert told == ["folder.refused", "folder.opened"]


async def test_a_large_mail_comes_by_the_scratch_disk(
    account: Account, host: FetchingHost, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(delivery, "IN_MEMORY", 20_000)
    large = mail(2, "".join(f"line {number}\r\n" for number in range(200_000)))
    for one in (mail(1), large, mail(3)):
        account.put(one)
    async with fetching(host, **account.settings(since="all")):
        assert await host.has(3) == [mail(1), large, mail(3)]
        await until(lambda: place(host) == 3)
    assert [bool(payload.file) for payload in host.payloads] == [False, True, False]
    assert list(host.scratch.iterdir()) == []


async def test_of_a_mail_that_is_too_large_a_notice_becomes_a_ticket(account: Account, host: FetchingHost):
    large = mail(1, "x" * 70 + "\r\n" * 5000, to="billing@example.com", more="Content-Type: text/html\r\n")
    account.put(large)
    account.put(mail(2))
    async with fetching(host, **account.settings(since="all", max_size="10kb")):
        notice, after = await host.has(2)
        await until(lambda: place(host) == 2)
    assert after == mail(2)
    (message,) = normalize(host.payloads[0])
    assert (message.subject, message.external_id) == ("1", "<1@b.example>")
    assert "larger than max_size" in message.text
    assert "folder INBOX, UID 1" in message.text
    assert host.payloads[0].recipients == ("billing@example.com",)
    assert host.refusals == [(Refusal.OVERSIZED, "mail over max_size")]
    assert len(notice) < 1000


async def test_a_wrong_password_is_said_once_and_not_tried_again_at_once(account: Account, host: FetchingHost):
    with capture_logs() as said:
        async with fetching(host, **account.settings(password="wrong-password-1")):
            await until(lambda: any(line["event"] == "link.down" for line in said))
            account.put(mail(1))
    (down,) = [line for line in said if line["event"] == "link.down"]
    assert (down["error"], down["inbox"], down["link"]) == ("login refused", "support", "imap")
    assert "wrong-password-1" not in str(said)
    assert account.server.logged().count(f"user=<{account.user}>, method=PLAIN") == 2  # one is the test's own


async def test_starttls(account: Account, host: FetchingHost):
    account.put(mail(1))
    async with fetching(host, **account.settings(since="all", tls="starttls", port=account.server.port)):
        await host.has(1)


@pytest.mark.parametrize(("tls", "where"), [("implicit", "tls_port"), ("starttls", "port")])
async def test_a_server_that_is_not_trusted_hears_no_password(
    account: Account, host: FetchingHost, tls: str, where: str
):
    logins = account.server.logged().count(account.user)
    with capture_logs() as said:
        port = getattr(account.server, where)
        async with fetching(host, **account.settings(ca=None, tls=tls, port=port)):
            await until(lambda: any(line["event"] == "link.down" for line in said))
    assert [line["error"] for line in said if line["event"] == "link.down"] == ["certificate not trusted"]
    assert account.server.logged().count(account.user) == logins


async def test_login_by_oauth2_and_a_token_withdrawn(account: Account, host: FetchingHost):
    provider = account.server.provider
    provider.user, provider.asked = account.user, []
    settings = account.settings(password=None, oauth2=provider.settings(), since="all", idle=False)
    account.put(mail(1))
    async with fetching(host, **settings):
        await host.has(1)
    assert [form["grant_type"] for form in provider.asked] == ["refresh_token"]
    assert provider.asked[0]["refresh_token"] == "refresh-1"
    provider.good.clear()
    account.put(mail(2))
    async with fetching(host, **settings):
        await host.has(2)


async def test_a_token_from_a_command(account: Account, host: FetchingHost):
    account.server.provider.good["printed-1"] = account.user
    account.put(mail(1))
    oauth2 = {"token_command": ["printf", "printed-1\\n"]}
    async with fetching(host, **account.settings(password=None, oauth2=oauth2, since="all")):
        await host.has(1)


async def test_a_token_that_is_not_good_is_a_refused_login(account: Account, host: FetchingHost):
    with capture_logs() as said:
        async with fetching(host, **account.settings(password=None, oauth2={"token": "no-token-1"})):
            await until(lambda: any(line["event"] == "link.down" for line in said))
    assert [line["error"] for line in said if line["event"] == "link.down"] == ["login refused"]
    assert "no-token-1" not in str(said)


async def test_a_stop_interrupts_idle(account: Account, host: FetchingHost):
    async with fetching(host, **account.settings(poll="1h")):
        await began(host)
        account.put(mail(1))
        await host.has(1)
        leaving = time.monotonic()
    assert time.monotonic() - leaving < SOON


async def test_a_stop_lets_what_is_handed_over_finish(account: Account, host: FetchingHost):
    account.put(mail(1))
    host.go_on.clear()
    async with fetching(host, **account.settings(since="all")):
        await host.handed_over.wait()
        host.go_on.set()
    assert host.finished == 1


@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
async def test_a_mail_is_the_same_by_smtp_and_by_imap(account: Account, host: FetchingHost, ends: bytes):
    sent = mail(1, "one\r\ntwo\r\n.\r\nlast")
    async with listening() as server:
        client = await server.client()
        await client.begin()
        client.send(stuffed(sent))
        await client.reply()
    (by_smtp,) = (message for payload in server.host.payloads for message in normalize(payload))
    account.put(b"Return-Path: <a@b.example>\r\nReceived: by mx.example.com\r\n" + sent.replace(b"\r\n", ends))
    async with fetching(host, **account.settings(since="all")):
        await host.has(1)
    (by_imap,) = (message for payload in host.payloads for message in normalize(payload))
    assert (by_imap.external_id, by_imap.identity) == (by_smtp.external_id, by_smtp.identity)
    assert PASSWORD not in repr(by_imap)
