"""A gateway as an operator starts it: a process, a configuration file, free ports."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.gateway.conftest import servers, start, told
from tests.support import free_port, wait_for_port

__all__ = ["Gateway", "gateway", "new_gateway", "servers", "start", "told"]

CONFIG = """\
http: {{host: 127.0.0.1, port: {http}, public_url: "http://127.0.0.1:{http}"}}
queue: {{url: "{queue}"}}
embedded: {{port: {valkey}, dir: "{folder}/valkey", fsync: {fsync}}}
spool: {{dir: "{spool}", min_free: {min_free}}}
objects: {{url: "file://{folder}/objects"}}
logs: {{format: json}}
directory: [{{type: file, path: config/customers.csv}}]
channels:
  contact: {{type: web_form, brand: example, languages: [ko, en]}}
  support: {{type: email, listen: "127.0.0.1:{smtp}", recipients: [support@example.com, billing@example.com]}}
"""


class Gateway:
    """One configured gateway, started and stopped as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http, self.smtp, self.valkey = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        self.config = folder / "gateway.yaml"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environ = dict(os.environ)
        self.configure()

    def configure(
        self,
        *,
        fsync: str = "always",
        queue: str = "embedded",
        spool: Path | None = None,
        min_free: str = "0",
        more: str = "",
    ) -> None:
        text = CONFIG.format(
            http=self.http,
            smtp=self.smtp,
            valkey=self.valkey,
            folder=self.folder,
            fsync=fsync,
            queue=queue,
            spool=spool or self.folder / "spool",
            min_free=min_free,
        )
        self.config.write_text(text + more, encoding="utf-8")

    def start(self, *arguments: str) -> None:
        """Run it; return once it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command("run", *arguments), stdout=log, stderr=log, env=self.environ)
        deadline = time.monotonic() + 30
        while True:
            wait_for_port(self.http, self.process)
            try:
                with urllib.request.urlopen(
                    f"{self.url}/readyz", timeout=30
                ):  # taken early, answered once all is ready
                    return
            except (urllib.error.URLError, ConnectionError):
                # A supervisor listens for a moment to see whether the address is free, and lets go of it again.
                if time.monotonic() > deadline:
                    raise

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal; its exit status."""
        assert self.process is not None
        self.process.send_signal(signum)
        status = self.process.wait(30)
        self.process = None
        return status

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gateway", name, "--config", str(self.config), *arguments]

    def call(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command to its end."""
        environ = {**os.environ, "PYTHONUTF8": "1"}
        return subprocess.run(
            self.command(name, *arguments), capture_output=True, encoding="utf-8", timeout=60, check=False, env=environ
        )

    def redis(self) -> Redis:
        return Redis(port=self.valkey, decode_responses=True, retry=Retry(NoBackoff(), 0))

    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def clean_up(self) -> None:
        """Stop what is left, the embedded server of a killed gateway included."""
        if self.process is not None:
            self.stop(signal.SIGKILL)
        with self.redis() as redis, suppress(RedisError):
            redis.shutdown(nosave=True)


@pytest.fixture
def new_gateway(tmp_path: Path) -> Iterator[Callable[[], Gateway]]:
    """Make gateways that are stopped when the test ends."""
    with ExitStack() as stack:

        def make() -> Gateway:
            folder = tmp_path / f"gateway-{time.monotonic_ns()}"
            folder.mkdir()
            gateway = Gateway(folder)
            stack.callback(gateway.clean_up)
            return gateway

        yield make


@pytest.fixture
def gateway(new_gateway: Callable[[], Gateway]) -> Gateway:
    """A gateway that listens."""
    made = new_gateway()
    made.start()
    return made
