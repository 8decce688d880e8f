import asyncio
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from redis.asyncio import Redis

from gateway.queue.embedded import embedded as launcher
from gateway.queue.embedded.embedded import EmbeddedError, EmbeddedOptions, embedded
from gateway.queue.embedded.process import ask
from gateway.queue.locks import share, try_exclusive
from tests.gateway.embedded_server import Events, add, count, gateway_process, go_on, got, lock_is_free, running, until
from tests.support import free_port


@pytest.fixture
def options(tmp_path: Path) -> EmbeddedOptions:
    return EmbeddedOptions(tmp_path / "data", free_port())


@pytest.fixture
def quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "WATCH", 0.02)


async def test_starts_durable_bounded_and_ready(options: EmbeddedOptions) -> None:
    events = Events()
    async with embedded(options, on_event=events) as server, Redis.from_url(server.url) as client:
        assert await client.ping()
        config = await client.config_get("*")
        assert not server.adopted
        assert server.url == f"redis://127.0.0.1:{options.port}"
        assert os.access(server.binary, os.X_OK)
        assert os.getsid(server.pid) == server.pid  # Ctrl-C in the terminal does not reach it
    assert (config["appendonly"], config["appendfsync"], config["save"]) == ("yes", "always", "")
    assert (config["maxmemory"], config["maxmemory-policy"]) == (str(256 * 2**20), "noeviction")
    assert config["dir"] == str(options.dir)
    assert stat.S_IMODE(options.dir.stat().st_mode) == 0o700
    assert events.names == ["embedded.started", "embedded.stopped"]
    assert events.fields("embedded.started")["version"] == server.version != ""


async def test_listens_on_loopback_only(options: EmbeddedOptions) -> None:
    async with embedded(options) as server:
        for elsewhere in ("127.0.0.2", "::1"):
            with pytest.raises(OSError, match=r"Connect call failed|Cannot assign"):
                await asyncio.open_connection(elsewhere, server.port)


async def test_a_clean_exit_stops_the_server_and_frees_the_directory(options: EmbeddedOptions) -> None:
    async with embedded(options) as server:
        pid = server.pid
        assert not lock_is_free(options)
    assert not running(pid)
    assert lock_is_free(options)


async def test_data_survive_stop_and_start_in_an_awkward_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("real").mkdir()
    Path("link").symlink_to("real")
    options = EmbeddedOptions(Path("link/with 'space' \"quote\" 한글"), free_port())
    async with embedded(options) as server:
        await add(server.url, 5)
    async with embedded(options) as server:
        assert await count(server.url) == 5


@pytest.mark.usefixtures("quick_watch")
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_killed_server_is_restarted_with_all_it_acknowledged(
    options: EmbeddedOptions, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    events = Events()

    async def scenario() -> None:
        async with embedded(options, on_event=events) as server:
            await add(server.url, 50)
            url, first = server.url, server.pid
            os.kill(first, signal.SIGKILL)
            await until(lambda: server.pid not in (0, first))
            assert server.url == url
            assert await count(url) == 50

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())
    assert events.names == ["embedded.started", "embedded.died", "embedded.restarted", "embedded.stopped"]


@pytest.mark.usefixtures("quick_watch")
async def test_a_server_outlives_its_killed_gateway_and_its_adopter_replaces_it(options: EmbeddedOptions) -> None:
    async with gateway_process(options) as gateway:
        go_on(gateway)
        pid, adopted, url = await got(gateway)
        assert not adopted
        gateway.kill()
    events = Events()
    async with embedded(options, on_event=events) as server:
        assert (server.pid, server.adopted, server.url) == (pid, True, url)
        assert await count(url) == 1
        os.kill(pid, signal.SIGKILL)
        await until(lambda: server.pid not in (0, pid))
        assert not server.adopted
        assert await count(url) == 1
    assert events.names == ["embedded.adopted", "embedded.died", "embedded.restarted", "embedded.stopped"]
    seconds = events.fields("embedded.adopted")["seconds"]
    assert isinstance(seconds, float)
    assert seconds < 1


async def test_of_racing_gateways_one_starts_and_only_the_last_to_leave_stops(options: EmbeddedOptions) -> None:
    async with embedded(options) as server:
        await add(server.url, 10)
        killed = server.pid
        os.kill(killed, signal.SIGKILL)  # the directory is as a crash left it
    async with (
        gateway_process(options) as a,
        gateway_process(options) as b,
        gateway_process(options) as c,
        gateway_process(options) as d,
        gateway_process(options) as e,
        gateway_process(options) as f,
    ):
        gateways = [a, b, c, d, e, f]
        for gateway in gateways:
            go_on(gateway)
        said = await asyncio.gather(*map(got, gateways))
        ((_, url),) = {(pid, url) for pid, _, url in said}
        assert sorted(adopted for _, adopted, _ in said) == [False, True, True, True, True, True]
        assert await count(url) == 16

        starter_first = sorted(gateways, key=lambda gateway: said[gateways.index(gateway)][1])
        *earlier, last = starter_first
        for gateway in earlier:
            go_on(gateway)
            assert await gateway.wait() == 0
        assert await count(url) == 16
        go_on(last)
        assert await last.wait() == 0
    assert lock_is_free(options)
    assert await ask(options.port, options.dir) is None


async def test_a_running_server_is_adopted_on_its_own_port_and_held_to_our_settings(tmp_path: Path) -> None:
    first = EmbeddedOptions(tmp_path, free_port(), fsync="everysec")
    second = EmbeddedOptions(tmp_path, free_port(), max_memory=64 * 2**20)
    events = Events()
    async with embedded(first) as theirs:
        async with embedded(second, on_event=events) as ours, Redis.from_url(ours.url) as client:
            assert (ours.port, ours.pid, ours.adopted) == (first.port, theirs.pid, True)
            assert await client.config_get("appendfsync") == {"appendfsync": "always"}
            assert await client.config_get("maxmemory") == {"maxmemory": "67108864"}
        assert running(theirs.pid)
    adopted = events.fields("embedded.adopted")
    assert (adopted["port"], adopted["configured_port"]) == (first.port, second.port)
    assert events.names == ["embedded.adopted", "embedded.left"]


async def test_a_directory_that_becomes_free_while_we_wait_is_started_on(options: EmbeddedOptions) -> None:
    options.dir.mkdir()
    lock = try_exclusive(options.dir / "server.lock")
    assert lock is not None
    asyncio.get_running_loop().call_later(0.05, os.close, lock)
    async with embedded(options) as server:
        assert not server.adopted
        await add(server.url)


async def test_a_start_waits_until_the_last_user_has_stopped_the_server(options: EmbeddedOptions) -> None:
    options.dir.mkdir()
    stopping = try_exclusive(options.dir / "users.lock")
    assert stopping is not None
    with pytest.raises(EmbeddedError, match="has been stopping the server"):
        await share(options.dir / "users.lock", 0.01)
    events = Events()

    async def start() -> None:
        async with embedded(options, on_event=events):
            pass

    starting = asyncio.create_task(start())
    await asyncio.sleep(0.05)
    assert events.names == []
    assert lock_is_free(options)
    os.close(stopping)
    await starting
    assert events.names == ["embedded.started", "embedded.stopped"]
