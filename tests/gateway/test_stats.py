"""`stats` as an operator runs it, against a real server and real spool files."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner
from redis import Redis

from gateway.cli import Exit, stats
from gateway.queue.entry import Entry
from gateway.queue.keys import Keys
from gateway.queue.spool.file import SpoolFile
from tests.support import free_port

KEYS = Keys()


@pytest.fixture
def server(valkey_url):
    with Redis.from_url(valkey_url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def configured(tmp_path, valkey_url):
    """Write a configuration; its path."""

    def write(url=valkey_url):
        file = tmp_path / "gateway.yaml"
        file.write_text(f'queue: {{url: "{url}", stream_bound: 5}}\nspool: {{dir: "{tmp_path}/spool"}}\n')
        return str(file)

    return write


def run(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(stats.command, [*arguments])


def spool(tmp_path, count):
    (tmp_path / "spool").mkdir()
    with closing(SpoolFile(tmp_path / "spool" / "spool-0.sqlite3", 1)) as file:
        file.append(
            [
                Entry(
                    stream="free", mark=bytes([n] * 16), keep_ms=1, conversation="one", fields=("event", "{}"), size=9
                )
                for n in range(count)
            ]
        )


def test_the_table(server, configured, tmp_path):
    premium, free = KEYS.stream("premium"), KEYS.stream("free")
    for n in range(7):
        server.xadd(premium, {"n": n})
    server.xadd(free, {"n": 1}, id="1-0")
    server.xgroup_create(premium, "core", "0")
    server.xreadgroup("core", "one", {premium: ">"}, count=3)
    server.xadd(KEYS.stream("dead"), {"n": 1})
    spool(tmp_path, 2)
    done = run("--config", configured())
    assert done.exit_code == Exit.OK
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert lines[0] == "tier entries group pending undelivered oldest unread"
    assert lines[1].startswith("premium 7 over the bound core 3 4 ")
    assert lines[2] == "business 0 nobody reads -"
    assert lines[3].startswith("free 1 nobody reads 2")  # since 1970: some twenty thousand days
    assert any(line.startswith("dead letters 1, the oldest ") for line in lines)
    assert any(line.startswith("spool 2, ") and " kB of 1,000.0 MB, the oldest " in line for line in lines)


def test_json(server, configured, tmp_path):
    server.xadd(KEYS.stream("premium"), {"n": 1})
    server.xgroup_create(KEYS.stream("premium"), "core", "0")
    done = run("--json", "--config", configured())
    told = json.loads(done.stdout)
    (premium, *_) = told["queue"]["streams"]
    oldest = premium["groups"][0].pop("oldest_unread_seconds")
    assert oldest >= 0
    assert premium["groups"] == [{"name": "core", "pending": 0, "undelivered": 1, "exact": True}]
    assert [stream["tier"] for stream in told["queue"]["streams"]] == ["premium", "business", "free"]
    assert told["spool"] == {"entries": 0, "bytes": 0, "max_bytes": 10**9, "oldest_seconds": None}
    assert told["stream_bound"] == 5


def test_the_spool_is_told_while_redis_is_away(configured, tmp_path):
    spool(tmp_path, 4)
    config = configured(f"redis://user:secret@127.0.0.1:{free_port()}")
    done = run("--json", "--config", config)
    assert done.exit_code == Exit.DEPENDENCY
    assert json.loads(done.stdout)["queue"] is None
    assert json.loads(done.stdout)["spool"]["entries"] == 4
    assert "no answer from the queue at redis://127.0.0.1:" in done.stderr
    assert "secret" not in done.output
    assert "spool         4," in run("--config", config).stdout


def test_a_full_spool_is_told_with_its_bound(configured, tmp_path, monkeypatch):
    monkeypatch.setattr(stats, "spooled", lambda _: (3, 1_100_000_000, None))
    done = run("--config", configured(f"redis://127.0.0.1:{free_port()}"))
    full = "3, 1,100.0 MB of 1,000.0 MB, the oldest - old, full: senders are told to come again"
    assert f"spool         {full}" in done.stdout


def test_a_pipe_cuts_no_heading(server, configured):
    group = "a-group-with-a-long-name-" * 5
    server.xadd(KEYS.stream("premium"), {"n": 1})
    server.xgroup_create(KEYS.stream("premium"), group, "0")
    done = CliRunner(env={"COLUMNS": None}).invoke(stats.command, ["--config", configured()])
    head, first, *_ = done.output.splitlines()
    assert group in first
    assert head.split()[-2:] == ["oldest", "unread"]


def test_a_spool_that_cannot_be_read(server, configured, tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "spool-0.sqlite3").write_bytes(b"no database, " * 1_000)
    done = run("--json", "--config", configured())
    assert done.exit_code == Exit.FAILURE
    assert json.loads(done.stdout)["spool"] is None
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "-"), (0, "0s"), (59.9, "59s"), (3_600, "1h"), (3_661, "1h 1m"), (90_061, "1d 1h"), (86_400, "1d")],
)
def test_ages(seconds, said):
    assert stats._age(seconds) == said
