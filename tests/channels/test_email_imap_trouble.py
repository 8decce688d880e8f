"""Mail fetched from a server that misbehaves: nothing is lost, nothing is said twice, nobody is held up."""

import json
import threading
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from channels.api import Outcome
from channels.email.imap import connection, delivery, letters, poller
from normalizers.email import normalize
from tests.channels.fake_imap import fake_imap
from tests.channels.imap_door import FetchingHost, fetching, mail
from tests.support import until

SOON = 5.0
"""Seconds a stop may take on a machine that is busy; the time-out it must not wait for is ten times as long."""


@pytest.fixture
def host(tmp_path: Path) -> FetchingHost:
    return FetchingHost(tmp_path)


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "SHORTEST", 0.01)
    monkeypatch.setattr(poller, "LONGEST", 0.02)


def links(said) -> list[tuple[str, str]]:
    return [(line["event"], line.get("error", "")) for line in said if line["event"].startswith("link.")]


def place(host: FetchingHost) -> int:
    return int(json.loads(host.cursor.place or "{}").get("INBOX", {"uid": -1})["uid"])


MAILS = {uid: mail(uid) for uid in (2, 3, 5)}


@pytest.mark.parametrize(
    ("answer", "cut"),
    [
        (b"* 2 FETCH (UID 3 BODY[] {9999}\r\nFrom: a@b", True),
        (b"* 2 FETCH (UID 3 BODY[] NIL)\r\n", False),
        (b'* 2 FETCH (UID 3 BODY[] "")\r\n', False),
        (b"* 2 FETCH (UID 3 BODY[] ~{4}\r\nabcd)\r\n", False),
        (b"* 2 FETCH (UID 3 BODY[] {4}\r\nabcd\r\n", False),
        (b"* BYE Internal error\r\n", True),
        (b"what?\r\n", False),
        (b"", True),
    ],
    ids=["cut in a literal", "NIL", "empty", "binary literal", "no bracket", "BYE", "no IMAP", "cut"],
)
async def test_one_mail_that_cannot_be_fetched_stops_no_other(host: FetchingHost, answer: bytes, cut: bool):
    async with fake_imap(MAILS) as server:

        def of_the_bad_one(command: str) -> bool:
            return "BODY.PEEK[]" in command and 3 in server.named(command)

        server.says = lambda command: answer if of_the_bad_one(command) else None
        server.cut_after = lambda command: cut and of_the_bad_one(command)
        with capture_logs() as said:
            async with fetching(host, **server.settings()):
                first, _, last = await host.has(3)
                await until(lambda: place(host) == 5)
                await until(lambda: ("link.up", "") in links(said))
        assert len(server.asked(r"UID FETCH 3 \(BODY.PEEK\[\]\)")) == delivery.TRIES
    assert (first, last) == (MAILS[2], MAILS[5])
    (message,) = normalize(host.payloads[1])
    assert (message.subject, message.external_id) == ("3", "<3@b.example>")
    assert "folder INBOX, UID 3" in message.text
    assert [(line["uid"], line["log_level"]) for line in said if line["event"] == "mail.unfetched"] == [(3, "error")]
    assert [event for event, _ in links(said)] == ["link.down", "link.up"]


async def test_a_mail_without_even_a_header_is_told_of_all_the_same(host: FetchingHost):
    async with fake_imap(MAILS) as server:

        def of_the_bad_one(command: str) -> bool:
            return "BODY.PEEK" in command and 3 in server.named(command)

        server.ends = lambda command: "NO no" if of_the_bad_one(command) else None
        server.says = lambda command: b"" if of_the_bad_one(command) else None
        async with fetching(host, **server.settings()):
            await host.has(3)
    (message,) = normalize(host.payloads[1])
    assert message.subject == "A mail that could not be fetched"
    assert "folder INBOX, UID 3" in message.text
    assert message.requester.addresses == ()


async def test_a_mail_that_vanishes_between_search_and_fetch_is_stepped_over(host: FetchingHost):
    async with fake_imap(MAILS) as server:
        server.says = lambda command: b"* SEARCH 2 3 4 5\r\n" if "SEARCH UID 1:" in command else None
        async with fetching(host, **server.settings(idle=False)):
            assert await host.has(3) == list(MAILS.values())
            await until(lambda: place(host) == 5)


async def test_uids_that_were_not_asked_for_are_not_taken(host: FetchingHost):
    async with fake_imap(dict(MAILS)) as server:
        async with fetching(host, **server.settings(idle=False)):
            await host.has(3)
            server.says = lambda command: b"* SEARCH 5 6\r\n" if "SEARCH" in command else None
            server.mails[6] = mail(6)
            assert (await host.has(4))[3] == mail(6)
            await until(lambda: place(host) == 6)
    assert host.tried == 4


async def test_a_server_that_hangs_up_and_lets_us_in_again_is_nothing_to_tell(host: FetchingHost):
    async with fake_imap(dict(MAILS)) as server:
        with capture_logs() as said:
            async with fetching(host, **server.settings()):
                for number in (6, 7, 8):
                    await until(lambda: len(server.asked("IDLE")) > 0)
                    server.commands.clear()
                    server.mails[number] = mail(number)
                    server.hang_up()
                    await host.has(number - 2)
        assert server.connections == 4
    assert links(said) == []


async def test_a_server_that_goes_away_is_said_once_and_once_when_it_is_back(host: FetchingHost):
    async with fake_imap(dict(MAILS)) as server:
        with capture_logs() as said:
            async with fetching(host, **server.settings()):
                await until(lambda: bool(server.asked("IDLE")))
                server.greeting = b"* BYE too busy\r\n"
                server.hang_up()
                seen = server.connections
                await until(lambda: server.connections > seen + 3)
                server.greeting = b"* OK ready\r\n"
                server.mails[9] = mail(9)
                await host.has(4)
                await until(lambda: links(said)[-1] == ("link.up", ""))
    assert links(said) == [("link.down", "no greeting of an IMAP server"), ("link.up", "")]
    assert "too busy" not in str(said)


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"220 mail.example ESMTP\r\n", "answers that are no IMAP"),
        (b"* BYE no\r\n", "no greeting of an IMAP server"),
        (b"\x16\x03\x01\r\n", "answers that are no IMAP"),
        (b"x" * 1_100_000 + b"\r\n", "answers that are no IMAP"),
    ],
    ids=["SMTP", "BYE", "TLS", "endless line"],
)
async def test_what_is_no_imap_server_is_said(host: FetchingHost, greeting: bytes, error: str):
    async with fake_imap({}) as server:
        server.greeting = greeting
        with capture_logs() as said:
            async with fetching(host, **server.settings()):
                await until(lambda: server.connections > 2 and bool(links(said)))
    assert links(said) == [("link.down", error)]


async def test_throttling_counts_against_no_mail_and_is_waited_out(host: FetchingHost, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(poller, "LONGEST_LOGIN_PAUSE", 0.02)
    async with fake_imap(MAILS) as server:
        busy = "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds"
        server.ends = lambda command: busy if "FETCH" in command and len(server.asked("FETCH")) < 20 else None
        with capture_logs() as said:
            async with fetching(host, **server.settings()):
                assert await host.has(3) == list(MAILS.values())
                await until(lambda: ("link.up", "") in links(said))
    assert links(said) == [("link.down", "throttled"), ("link.up", "")]


async def test_a_login_that_fails_for_the_moment_is_tried_again_soon(host: FetchingHost):
    async with fake_imap(MAILS) as server:
        no = "NO [UNAVAILABLE] Temporary authentication failure."
        server.ends = lambda command: no if "LOGIN" in command and server.connections < 4 else None
        async with fetching(host, **server.settings()):
            await host.has(3)
    assert server.connections == 4


async def test_a_connection_lost_at_login_is_no_refusal(host: FetchingHost):
    async with fake_imap(MAILS) as server:
        server.cut_after = lambda command: "LOGIN" in command and server.connections < 4
        with capture_logs() as said:
            async with fetching(host, **server.settings()):
                await host.has(3)
    assert "login refused" not in str(said)


async def test_idle_that_is_offered_and_refused_gives_way_to_looking(host: FetchingHost):
    async with fake_imap(dict(MAILS)) as server:
        server.ends = lambda command: "NO not today" if command == "IDLE" else None
        server.says = lambda command: b"" if command == "IDLE" else None
        async with fetching(host, **server.settings()):
            await until(lambda: bool(server.asked("IDLE")))
            server.mails[7] = mail(7)
            await host.has(4)
    assert len(server.asked("IDLE")) == 1


async def test_news_in_one_packet_with_the_go_ahead_are_heard(host: FetchingHost):
    async with fake_imap(dict(MAILS)) as server:

        def idle_news() -> bytes:
            if 8 in server.mails:
                return b""
            server.mails[8] = mail(8)
            return b"* 4 EXISTS\r\n"

        server.idle_news = idle_news
        async with fetching(host, **server.settings(poll="1h")):
            assert (await host.has(4))[3] == mail(8)


async def test_a_mail_whose_size_nobody_says_is_not_taken_for_gone(host: FetchingHost):
    async with fake_imap(MAILS) as server:
        server.says = lambda command: b"" if "FETCH 3 (RFC822.SIZE)" in command else None
        server.ends = lambda command: "NO" if "FETCH 2,3,5 (RFC822.SIZE)" in command else None
        async with fetching(host, **server.settings()):
            first, notice, last = await host.has(3)
    assert (first, last) == (MAILS[2], MAILS[5])
    assert b"folder INBOX, UID 3" in notice


class Stuck:
    """A cursor whose server is away while it is `stuck`."""

    def __init__(self, *, stuck: bool) -> None:
        self.stuck = stuck
        self.place: str | None = None

    async def read(self) -> str | None:
        return self.place

    async def move(self, place: str, /) -> None:
        if self.stuck:
            raise OSError
        self.place = place


async def test_while_the_cursor_cannot_be_kept_each_mail_is_taken_once(host: FetchingHost):
    host.cursor = cursor = Stuck(stuck=False)  # type: ignore[assignment]  # a cursor as good as any
    async with fake_imap(dict(MAILS)) as server:
        with capture_logs() as said:
            async with fetching(host, **server.settings(batch=1)):
                await host.has(3)
                await until(lambda: place(host) == 5)
                cursor.stuck = True
                for uid in (6, 7):
                    server.mails[uid] = mail(uid)
                    await host.has(uid - 2)
                server.hang_up()
                connections = server.connections
                await until(lambda: server.connections > connections and bool(server.asked("IDLE")))
                assert (host.tried, place(host)) == (5, 5)
                cursor.stuck = False
                await until(lambda: place(host) == 7)
    assert host.tried == 5
    events = [line["event"] for line in said if line["event"].startswith("cursor.")]
    assert events == ["cursor.unkept", "cursor.kept"]


async def test_nothing_is_taken_before_the_first_place_is_kept(host: FetchingHost):
    host.cursor = cursor = Stuck(stuck=True)  # type: ignore[assignment]  # a cursor as good as any
    async with fake_imap(MAILS) as server, fetching(host, **server.settings()):
        await until(lambda: server.connections > 2)
        assert host.tried == 0
        cursor.stuck = False
        assert await host.has(3) == list(MAILS.values())


async def test_the_place_in_one_account_says_nothing_of_another(host: FetchingHost):
    async with fake_imap({uid: mail(uid) for uid in (70, 80)}) as old:
        async with fetching(host, **old.settings(user="old-desk")):
            await until(lambda: place(host) == 80)
    assert "old-desk" not in str(host.cursor.place)
    async with fake_imap(dict(MAILS)) as new:  # with the same UIDVALIDITY
        async with fetching(host, **new.settings(since="now", user="new-desk")):
            assert (await host.has(5))[2:] == list(MAILS.values())
            await until(lambda: place(host) == 5)


async def test_a_mailbox_set_back_by_a_backup_is_read_anew(host: FetchingHost):
    async with fake_imap({uid: mail(uid) for uid in (2, 3, 5, 80)}) as server:
        async with fetching(host, **server.settings()):
            await until(lambda: place(host) == 80)
    async with fake_imap({**MAILS, 6: mail(6)}) as server:  # with the same UIDVALIDITY
        with capture_logs() as said:
            async with fetching(host, **server.settings()):
                assert mail(6) in await host.has(8)
                await until(lambda: place(host) == 6)
                server.mails[7] = mail(7)
                await host.has(9)
    assert [line["event"] for line in said].count("folder.renewed") == 1


async def test_a_folder_made_anew_within_a_backlog_is_read_from_where_that_began(host: FetchingHost):
    async with fake_imap(MAILS) as server:
        host.outcomes = [Outcome.ACCEPTED, *[Outcome.DEFERRED] * 1000]
        async with fetching(host, **server.settings(batch=1)):
            await until(lambda: place(host) == 2)
        host.outcomes = []
        server.commands.clear()
        server.mails = {uid + 100: MAILS[uid] for uid in MAILS}
        renewed = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 8] ok\r\n* OK [UIDNEXT 106] ok\r\n"
        server.says = lambda command: renewed if "EXAMINE" in command else None
        async with fetching(host, **server.settings(batch=1)):
            await host.has(4)
            await until(lambda: place(host) == 105)
    assert "SINCE 31-Dec-1979" in server.asked("SEARCH")[0]


async def test_a_large_mail_removed_between_two_pieces_is_not_taken_for_whole(
    host: FetchingHost, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(delivery, "IN_MEMORY", 1000)
    monkeypatch.setattr(connection, "PIECE", 600)
    async with fake_imap({**MAILS, 3: mail(3, "x" * 5000)}) as server:

        def says(command: str) -> bytes | None:
            if "BODY.PEEK[]<1800.600>" in command:
                server.mails.pop(3, None)
            return None

        server.says = says
        async with fetching(host, **server.settings()):
            await until(lambda: place(host) == 5)
    assert host.contents == [MAILS[2], MAILS[5]]


@pytest.mark.parametrize("step", ["LOGIN", "EXAMINE", "FETCH", "IDLE"])
async def test_a_stop_waits_for_no_server(host: FetchingHost, step: str):
    async with fake_imap(MAILS) as server:
        server.hangs = lambda command: step in command
        async with fetching(host, **server.settings(timeout="60s")):
            await until(lambda: bool(server.asked(step)))
            leaving = time.monotonic()
        assert time.monotonic() - leaving < SOON
        await until(lambda: "imap-support" not in {thread.name for thread in threading.enumerate()})


async def test_a_server_that_says_nothing_is_given_up(host: FetchingHost):
    async with fake_imap(MAILS) as server:
        server.hangs = lambda command: "EXAMINE" in command and server.connections == 1
        with capture_logs() as said:
            async with fetching(host, **server.settings(timeout="200ms")):
                await host.has(3)
    assert links(said)[0] == ("link.down", "no answer in time")


async def test_an_answer_with_pieces_smaller_than_asked_is_put_together(
    host: FetchingHost, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(delivery, "IN_MEMORY", 1000)
    monkeypatch.setattr(connection, "PIECE", 600)
    large = mail(3, "".join(f"{number}\r" + "\n" * (number % 3) for number in range(900)))
    async with fake_imap({**MAILS, 3: large}) as server, fetching(host, **server.settings()):
        _, fetched, _ = await host.has(3)
    whole = large.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert fetched == whole


async def test_a_header_of_thousands_of_addresses_is_read_beside_the_loop(
    host: FetchingHost, monkeypatch: pytest.MonkeyPatch
):
    readers: list[threading.Thread] = []

    class Watched(letters.Letter):
        def __init__(self, content: bytes) -> None:
            readers.append(threading.current_thread())
            super().__init__(content)

    monkeypatch.setattr(delivery, "Letter", Watched)
    async with fake_imap(MAILS) as server, fetching(host, **server.settings()):
        await host.has(3)
    assert len(readers) == 3
    assert threading.main_thread() not in readers


async def test_a_header_that_makes_us_stumble_stops_no_other(host: FetchingHost, monkeypatch: pytest.MonkeyPatch):
    class Stumbling(letters.Letter):
        def __init__(self, content: bytes) -> None:
            if b"Subject: 3" in content:
                raise RecursionError
            super().__init__(content)

    monkeypatch.setattr(delivery, "Letter", Stumbling)
    async with fake_imap(MAILS) as server, fetching(host, **server.settings()):
        assert await host.has(3) == list(MAILS.values())
    assert host.payloads[1].recipients == ("support@example.com",)


async def test_a_full_scratch_disk_is_waited_out(host: FetchingHost, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(delivery, "IN_MEMORY", 1000)
    large, room = mail(3, "x" * 5000), host.scratch / "room"
    host.scratch = room / "there"
    async with fake_imap({**MAILS, 3: large}) as server:
        with capture_logs() as said:
            async with fetching(host, **server.settings()):
                await until(lambda: bool(links(said)))
                assert set(host.contents) == {MAILS[2]}
                host.scratch.mkdir(parents=True)
                assert await host.has(3) == [MAILS[2], large, MAILS[5]]
                await until(lambda: ("link.up", "") in links(said))
    assert links(said) == [("link.down", "scratch disk: No such file or directory"), ("link.up", "")]
    assert str(room) not in str(said)


async def test_a_folder_with_more_mails_than_fit_into_an_answer_is_asked_in_parts(
    host: FetchingHost, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(poller, "WINDOW", 4)
    mails = {uid: mail(uid) for uid in (1, 2, 9, 10, 11, 30)}
    async with fake_imap(mails) as server, fetching(host, **server.settings(idle=False)):
        assert await host.has(6) == list(mails.values())
        await until(lambda: place(host) == 30)
    assert server.asked("SEARCH")[0] == "UID SEARCH UID 1:4"
