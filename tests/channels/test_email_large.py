"""Mail too large for memory: on the scratch disk while it arrives and is taken in, and gone afterwards."""

import asyncio
import resource
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from channels.api import Refusal
from channels.email.smtp import listener
from channels.email.smtp.incoming import SPILL_OVER
from channels.email.smtp.scratch_file import ScratchFile
from channels.testing_host import FakeHost
from tests.channels.email_door import ACCEPTED, MAIL, Client, Listening, MailHost, listening, stuffed
from tests.support import until

HEADER = b"From: a@b.example\r\nSubject: large\r\n\r\n"
LARGE = HEADER + b"VGhpcyBpcyBhbiBhdHRhY2htZW50IG9mIG5vdGhpbmcgYnV0IG51bWJlcnMgYW5kIGxldHRlcnMu\r\n" * 25_000


@pytest.fixture
def host(tmp_path: Path) -> MailHost:
    host = MailHost("support")
    host.scratch = tmp_path
    return host


@pytest.fixture
async def server(host: MailHost) -> AsyncIterator[Listening]:
    async with listening(host) as server:
        yield server


def kept(host: FakeHost) -> list[Path]:
    return list(host.scratch.iterdir())


async def emptied(host: FakeHost) -> None:
    """Forgetting a file is a thread's work."""
    await until(lambda: not kept(host))


async def begun(server: Listening, message: bytes = LARGE) -> Client:
    """A client whose message came but for its end."""
    client = await server.client()
    await client.begin()
    client.send(stuffed(message)[:-5])
    await until(lambda: len(kept(server.host)) > 0)
    return client


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (LARGE, LARGE),
        (HEADER + b"..\r\n" * 300_000, HEADER + b"..\r\n" * 300_000),
        (HEADER + b"a\nb\r\r\n" * 300_000, HEADER + b"a\r\nb\r\n" * 300_000),
        (HEADER + b"\r" * 1_000_000 + b"\r\n", HEADER + b"\r\n" * 1_000_000),
        (HEADER + b"x" * 2_000_000 + b"\r\n", HEADER + b"x" * 2_000_000 + b"\r\n"),
    ],
    ids=["base64", "dots", "bare line ends", "a million CR", "one line"],
)
async def test_it_is_handed_over_as_a_file_as_it_was_and_then_removed(server, host, sent, taken):
    client = await server.client()
    assert await client.deliver(sent) == ACCEPTED
    assert server.contents == [taken]
    assert [(mail.content, Path(mail.file).parent) for mail in host.payloads] == [(b"", host.scratch)]
    await emptied(host)
    assert await client.deliver() == ACCEPTED
    assert host.payloads[1].content == MAIL


async def test_nobody_else_may_read_the_file(server, host):
    client = await begun(server)
    assert [path.stat().st_mode & 0o777 for path in kept(host)] == [0o600]
    client.send(b"\r\n.\r\n")
    await client.reply()


async def test_the_disk_is_waited_for_in_threads(server, monkeypatch):
    in_loop: set[bool] = set()

    def watched(name: str) -> None:
        method = getattr(ScratchFile, name)

        def watching(*args: object, **options: object) -> object:
            in_loop.add(threading.current_thread() is threading.main_thread())
            return method(*args, **options)

        monkeypatch.setattr(ScratchFile, name, watching)

    for name in ("append", "head", "remove"):
        watched(name)
    assert await (await server.client()).deliver(LARGE) == ACCEPTED
    await emptied(server.host)
    assert in_loop == {False}


async def test_ten_at_once_need_little_memory(host):
    async with listening(host, max_memory="8mb") as server:
        host.go_on.clear()
        clients = [await server.client() for _ in range(10)]
        sending = [asyncio.create_task(client.deliver(LARGE * 2)) for client in clients]
        await until(lambda: len(host.payloads) == 10)
        assert len(kept(host)) == 10
        host.go_on.set()
        assert [await one for one in sending] == [ACCEPTED] * 10
        assert set(server.contents) == {LARGE * 2}
        await emptied(host)


async def test_more_than_the_disk_may_hold_is_put_off_and_its_room_given_back(host):
    async with listening(host, max_scratch="5mb") as server:
        host.go_on.clear()
        first, second = await server.client(), await server.client()
        sending = asyncio.create_task(first.deliver(LARGE))
        await until(lambda: len(host.payloads) == 1)
        assert (await second.deliver(LARGE * 2))[:9] == "451 4.3.0"
        host.go_on.set()
        assert await sending == ACCEPTED
        await emptied(host)
        assert await second.deliver(LARGE * 2) == ACCEPTED


async def test_it_is_kept_until_it_is_taken_in_whatever_the_sender_was_told(host):
    async with listening(host, accept_timeout="20ms") as server:
        host.go_on.clear()
        client = await server.client()
        assert (await client.deliver(LARGE))[:9] == "451 4.3.0"
        assert [path.read_bytes() for path in kept(host)] == [LARGE]
        host.go_on.set()
        await emptied(host)


async def test_a_disk_that_is_full_puts_the_sender_off(server, host, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    client = await server.client()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        assert (await client.deliver(LARGE))[:9] == "451 4.3.0"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await emptied(host)
    assert await client.deliver(LARGE) == ACCEPTED
    assert server.contents == [LARGE]


async def test_a_folder_that_is_gone_puts_the_sender_off(server, host):
    host.scratch.rmdir()
    client = await server.client()
    assert (await client.deliver(LARGE))[:9] == "451 4.3.0"
    assert await client.deliver() == ACCEPTED
    host.scratch.mkdir()


async def test_what_comes_after_a_fault_of_ours_is_not_taken_for_commands(server, host, monkeypatch):
    client = await begun(server)

    def no_thread(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", no_thread)
    client.send(b"x" * 2 * SPILL_OVER + b"\r\nMAIL FROM:<ceo@b.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n")
    client.send(MAIL + b".\r\n")
    with suppress(ConnectionError):  # nobody reads what it still sends
        assert (await client.reply())[:9] in ("421 4.3.0", "")
        assert await client.reply() == ""
    await emptied(host)
    assert host.payloads == []


async def test_one_that_is_too_big_is_refused_and_forgotten(host):
    async with listening(host, max_size="1mb") as server:
        client = await server.client()
        assert (await client.deliver(HEADER + b"x" * 1_000_000 + b"\r\n"))[:9] == "552 5.3.4"
        assert (await client.deliver(HEADER + b"\n" * 600_000 + b"\r\n"))[:9] == "552 5.3.4"
        await emptied(host)
        assert await client.deliver(HEADER + b"x" * 900_000 + b"\r\n") == ACCEPTED
    assert host.refusals == [(Refusal.OVERSIZED, "message too big")] * 2


async def test_one_that_goes_round_in_circles_is_refused_and_forgotten(server, host):
    client = await server.client()
    assert (await client.deliver(b"Received: x\r\n" * 51 + LARGE))[:9] == "554 5.4.6"
    await emptied(host)
    assert host.payloads == []


async def test_a_sender_who_hangs_up_leaves_nothing(server, host):
    client = await begun(server)
    client.writer.transport.abort()
    await emptied(host)
    assert host.payloads == []


async def test_a_session_that_is_cut_leaves_nothing(host, monkeypatch):
    monkeypatch.setattr(listener, "DRAIN_TIMEOUT", 0.05)
    async with listening(host) as server:
        await begun(server)
        await server.close()
        await emptied(host)


def test_a_file_that_was_removed_is_not_made_again(tmp_path):
    file = ScratchFile(tmp_path)
    file.append(b"one", last=False)
    file.remove()
    file.append(b"two", last=True)
    assert list(tmp_path.iterdir()) == []
