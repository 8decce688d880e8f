"""One server process: how it is started, asked who it is, and what it said when it died."""

import asyncio
import errno
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Literal

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError

from gateway.queue.embedded.binary import EmbeddedError

HOST = "127.0.0.1"
POLL = 0.005
LOG_LIMIT = 2**20
_LINE_HEAD = re.compile(r"^\d+:\S+ \d+ \w+ \d{4} [\d:.]+ \S ")


@dataclass(frozen=True)
class EmbeddedOptions:
    """How the embedded server runs; `max_memory` in bytes, `ready_timeout` in seconds, loading included."""

    dir: Path
    port: int = 6390
    fsync: Literal["always", "everysec"] = "always"
    max_memory: int = 256 * 2**20
    ready_timeout: float = 30.0


@dataclass(frozen=True)
class Answer:
    """What the server of a directory says of itself."""

    pid: int
    version: str
    binary: Path
    ready: bool
    """False while it loads its data."""


async def ask(port: int, directory: Path) -> Answer | None:
    """Who serves `directory` on `port`; None where nobody answers, or a stranger does."""
    client = _client(port)
    try:
        if (await client.config_get("dir")).get("dir") != str(directory):
            return None
        info = await client.info("server")
        try:
            await client.ping()
            ready = True
        except BusyLoadingError:
            ready = False
        version = info.get("valkey_version") or info["redis_version"]
        return Answer(int(info["process_id"]), str(version), Path(info["executable"]), ready)
    except Exception:  # redis-py raises TypeError and more at what is no answer to the question
        return None
    finally:
        await client.aclose()


async def configure(port: int, options: EmbeddedOptions) -> bool:
    """Hold a server somebody else started to our settings: its fsync is what our senders are promised."""
    client = _client(port)
    try:
        await client.config_set("appendfsync", options.fsync)
        await client.config_set("maxmemory", options.max_memory)
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()
    return True


class ServerProcess:
    """A server this process started, and may leave running behind."""

    def __init__(self, binary: Path, options: EmbeddedOptions, directory: Path, port: int, lock: int) -> None:
        """Raises EmbeddedError; the server inherits `lock`, which so is held exactly as long as it lives."""
        _check_port(port)
        self._directory = directory
        self._port = port
        self._log = directory / "server.log"
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            try:
                self._popen = _popen(binary, options, directory, port, lock, log)
            except OSError as error:
                raise EmbeddedError(
                    f"{binary} does not run here ({error.strerror}): install another server, or set REDIS_URL"
                ) from error
        self.pid = self._popen.pid

    async def ready(self, deadline: float) -> Answer:
        """Its answer once it has loaded its data; raises EmbeddedError when it exits or `deadline` passes."""
        while True:
            answer = await ask(self._port, self._directory)
            if answer and answer.ready:
                return answer
            if not self.alive():
                said = self._last_words()
                if "Address already in use" in said:
                    raise _port_taken(self._port)
                raise EmbeddedError(f"the embedded server exited at start: {said} (log: {self._log})")
            if monotonic() > deadline:
                raise EmbeddedError(f"the embedded server takes too long to get ready (log: {self._log})")
            await asyncio.sleep(POLL)

    def alive(self) -> bool:
        """Whether it still runs; reaps it where it does not."""
        return self._popen.poll() is None

    def abandon(self) -> None:
        """Let it outlive us, without the ResourceWarning Popen has for that."""
        self._popen.returncode = self._popen.returncode or 0

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        said = [_LINE_HEAD.sub("", line).strip() for line in lines]
        return " ".join([line for line in said if line][-3:]) or "without a word"


def _check_port(port: int) -> None:
    """Raise EmbeddedError where a server could not listen on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _port_taken(port) from None
            raise EmbeddedError(f"{HOST}:{port}: {error.strerror}: set EMBEDDED_PORT to another port") from error


def _port_taken(port: int) -> EmbeddedError:
    """The error for a port somebody else listens on."""
    return EmbeddedError(f"{HOST}:{port} is taken by another program: stop it or set EMBEDDED_PORT")


def _popen(
    binary: Path, options: EmbeddedOptions, directory: Path, port: int, lock: int, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    settings = {
        "bind": HOST,
        "port": port,
        "protected-mode": "yes",
        "daemonize": "no",
        "dir": ".",  # the working directory: no path has to survive the quoting of a server's configuration
        "appendonly": "yes",
        "appendfsync": options.fsync,
        "save": "",
        "maxmemory": options.max_memory,
        "maxmemory-policy": "noeviction",
    }
    return subprocess.Popen(
        [str(binary), *(word for name, value in settings.items() for word in (f"--{name}", str(value)))],
        cwd=directory,
        # At a locale the machine lacks, Valkey exits: "Failed to configure LOCALE for invalid locale name".
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=(lock,),
        start_new_session=True,  # Ctrl-C in the terminal is for the gateway, which stops the server last
    )


def _client(port: int) -> Redis:
    # Nothing is retried, and nobody is greeted who may turn out a stranger.
    return Redis(
        host=HOST,
        port=port,
        protocol=2,
        driver_info=None,
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="surrogateescape",  # as Python spells paths that are not UTF-8
    )
