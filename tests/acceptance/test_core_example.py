"""What docs/reading-the-queue.md shows, as real processes: the core that is killed, Node, redis-cli."""

import asyncio
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from tests.support import free_port

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reading-the-queue.md"
ENVELOPE = json.loads((ROOT / "tests/gateway/cases/envelope.json").read_text(encoding="utf-8"))
TIERS = ("premium", "business", "free")
KILLS = 24
NODE_MODULES = "/usr/share/nodejs"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a server that lives as long as the test."""
    options = EmbeddedOptions(tmp_path / "valkey", free_port(), fsync="everysec")
    with asyncio.Runner() as runner:
        context = embedded(options)
        runner.run(context.__aenter__())
        yield options.port
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
def redis(port: int) -> Iterator[Redis]:
    with Redis(port=port, decode_responses=True) as client:
        yield client


def publish(redis: Redis, number: int) -> str:
    """One envelope of ten conversations in three tiers; its id."""
    tier, id = TIERS[number % 3], f"id-{number:06d}"
    event = json.dumps({**ENVELOPE, "id": id, "subject": f"toy:n-{number % 10}"}, ensure_ascii=False)
    redis.xadd(f"{{tickets}}:{tier}", {"id": id, "channel": "toy", "inbox": "notes", "tier": tier, "event": event})
    return id


def until(condition, within=60.0):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.005)


def settled(redis: Redis) -> bool:
    for tier in TIERS:
        groups = redis.xinfo_groups(f"{{tickets}}:{tier}")
        last = redis.xinfo_stream(f"{{tickets}}:{tier}")["last-generated-id"]
        if not groups or any(group["pending"] or group["last-delivered-id"] != last for group in groups):
            return False
    return True


class Cores:
    """Two cores on one database, started again whenever they are killed."""

    def __init__(self, port: int, folder: Path, stack: ExitStack) -> None:
        self._url, self._database, self._log = f"redis://127.0.0.1:{port}", folder / "tickets.db", folder / "log"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        stack.callback(self.clean_up)
        for name in ("core-1", "core-2"):
            self.start(name)
        until(self._database.exists)
        self.db = stack.enter_context(closing(sqlite3.connect(self._database, timeout=10)))
        until(lambda: self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'conversations'").fetchone())

    def start(self, name: str) -> None:
        command = [sys.executable, "-m", "docs.examples.core", self._url, str(self._database), name]
        with self._log.open("ab") as log:
            self._processes[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def kill_one_and_start_it_again(self) -> None:
        name = random.choice([*self._processes])
        self._processes[name].kill()
        assert self._processes[name].wait(10) == -signal.SIGKILL, self.logged()
        self.start(name)

    def stop(self) -> list[int]:
        """Their exit codes; each has said that it runs, so SIGTERM meets the handler of it."""
        for process in self._processes.values():
            until(lambda process=process: f"core.started pid={process.pid}\n" in self.logged())
        for process in self._processes.values():
            process.terminate()
        return [process.wait(30) for process in self._processes.values()]

    def stored(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM tickets").fetchone()[0])

    def logged(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def clean_up(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait(10)


@contextmanager
def publishing(port: int) -> Iterator[list[str]]:
    """Publish for as long as the block runs; the ids so far."""
    published: list[str] = []
    done = threading.Event()

    def keep_on() -> None:
        with Redis(port=port) as redis:
            while not done.wait(0.004):
                published.append(publish(redis, len(published)))

    thread = threading.Thread(target=keep_on)
    thread.start()
    try:
        yield published
    finally:
        done.set()
        thread.join()


def test_a_core_that_is_killed_again_and_again_has_each_ticket_once(port, redis, tmp_path):
    with ExitStack() as stack:
        cores = Cores(port, tmp_path, stack)
        with publishing(port) as published:
            for _ in range(KILLS):
                enough = cores.stored() + random.randint(1, 30)
                until(lambda enough=enough: cores.stored() >= enough)
                time.sleep(random.uniform(0, 0.02))  # anywhere within a read, a transaction, an acknowledgement
                cores.kill_one_and_start_it_again()
        until(lambda: settled(redis))
        assert [id for (id,) in cores.db.execute("SELECT id FROM tickets ORDER BY id")] == published
        # The primary key alone would hide a second delivery; what is counted beside it would not.
        assert cores.db.execute("SELECT sum(messages) FROM conversations").fetchone() == (len(published),)
        assert redis.xlen("{tickets}:dead") == 0
        assert cores.stop() == [0, 0]
        assert "Traceback" not in cores.logged()


def snippet(language: str, heading: str) -> str:
    """The first block of a language below a heading of the document."""
    section = DOCUMENT.read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    block = re.search(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert block, f"no {language} below {heading}"
    return block[1]


def needs(program: str, package: str) -> None:
    if shutil.which(program) is None:
        told = f"{program} is not installed (Debian: apt install {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)


def test_the_python_of_the_document_reads(port, redis, tmp_path):
    published = [publish(redis, number) for number in range(6)]
    code = snippet("python", "In Python").replace("6390", str(port))
    assert str(port) in code
    process = subprocess.Popen([sys.executable, "-u", "-c", code], cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8")
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in published]
        until(lambda: settled(redis))
        process.kill()
    assert sorted(line.split()[0] for line in lines) == published
    assert "결제 오류" in lines[0]


def test_the_node_of_the_document_reads_by_tier_takes_over_buries_and_acknowledges(port, redis, tmp_path):
    needs("node", "nodejs")
    published = [publish(redis, number) for number in range(12)]
    redis.xgroup_create("{tickets}:premium", "core", "0")
    ((_, ((poison, _), (left, _))),) = redis.xreadgroup("core", "dead", {"{tickets}:premium": ">"}, count=2)
    for entry, times in ((poison, 8), (left, 7)):
        redis.xclaim("{tickets}:premium", "core", "dead", 0, [entry], idle=600_000, retrycount=times, justid=True)
    script = tmp_path / "core.cjs"
    script.write_text(snippet("js", "In Node"), encoding="utf-8")
    environ = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{port}"}
    environ["NODE_PATH"] = os.pathsep.join(filter(None, [os.environ.get("NODE_PATH"), NODE_MODULES]))
    known = subprocess.run(["node", "-e", "require('redis')"], env=environ, capture_output=True, check=False)
    if known.returncode:
        told = "node has no package redis (Debian: apt install node-redis; or npm, with NODE_PATH)"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    process = subprocess.Popen(["node", str(script)], env=environ, stdout=subprocess.PIPE, encoding="utf-8")
    with process:
        assert process.stdout is not None
        events = [json.loads(process.stdout.readline()) for _ in published[1:]]
        until(lambda: settled(redis))
        process.kill()
    assert [event["id"] for event in events] == sorted(published[1:], key=lambda id: int(id[3:]) % 3)
    ((_, letter),) = redis.xrange("{tickets}:dead")
    assert (letter["id"], letter["reason"], letter["inbox"]) == (published[0], "poison", "notes")
    assert json.loads(letter["payload"])["id"] == published[0]
    assert events[0]["data"]["text"] == "결제 오류"


def test_the_redis_cli_of_the_document_drains_and_acknowledges(port, redis):
    needs("redis-cli", "redis-tools")
    published = [publish(redis, number) for number in range(7)]
    script = snippet("sh", "With redis-cli").replace("6390", str(port))
    done = subprocess.run(["sh", "-c", script], capture_output=True, encoding="utf-8", timeout=60, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(event["id"] for event in events) == published
    assert [int(event["id"][3:]) % 3 for event in events] == [0, 0, 0, 1, 1, 2, 2]
    assert settled(redis)
