"""Mail servers side by side: `python -m tests.benchmarks.mail_servers`, or a part of `make bench`.

Haraka is measured where HARAKA names the folder it was installed in: `npm install --prefix DIR Haraka redis`.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from tests.benchmarks.contenders import HEADING, Client, Contender, measure, python, ratio, server
from tests.benchmarks.load import Smtp
from tests.support import free_port

SESSIONS, ROUNDS, SECONDS = 16, 5, 2.0
PEERS = Path(__file__).parent / "peers"
HEAD = (
    "From: =?utf-8?b?6rmA66+87IiY?= <minsu@acme.example>\r\nTo: support@example.com\r\n"
    "Subject: =?utf-8?b?6rKw7KCcIOyYpOulmA==?=\r\nMessage-ID: <{n}@load.example>\r\n"
    "Date: Sun, 22 Nov 2026 14:00:00 +0900\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
)
LINE = "영수증이 두 번 결제됐어요. 확인 부탁드립니다.\r\n"
CONFIG = """\
http: {{host: 127.0.0.1, port: {http}}}
queue: {{url: "{redis}"}}
spool: {{dir: "{folder}/spool", max_bytes: 20GB}}
objects: {{url: "file://{folder}/objects"}}
directory: [{{type: file, path: config/customers.csv}}]
channels:
  support: {{type: email, listen: "127.0.0.1:{smtp}", recipients: [support@example.com]}}
"""


def mails(size: int) -> Callable[[], bytes]:
    """A new mail of about that many bytes at every call."""
    numbers, body = count(), (LINE * (size // len(LINE.encode()))).encode() + b"\r\n.\r\n"
    return lambda: HEAD.format(n=next(numbers)).encode() + body


def client(size: int, *, once: bool) -> Client:
    """Mail after mail, in one session or in one each."""
    content = mails(size)
    return lambda until, latencies: Smtp(content, until, latencies, once=once)


def listeners(stack: ExitStack, folder: Path, redis: str) -> dict[str, tuple[int, int]]:
    """Port and pid of each server, by its name."""
    found: dict[str, tuple[int, int]] = {}
    stock, door, web, smtp = (free_port() for _ in range(4))
    pid = stack.enter_context(python("-m", "tests.benchmarks.peers.aiosmtpd_discard", str(stock), port=stock))
    found["stock aiosmtpd, discards"] = stock, pid
    pid = stack.enter_context(python("-m", "tests.benchmarks.peers.door_publish", str(door), redis, port=door))
    found["gateway's SMTP door, durable publish"] = door, pid
    config = folder / "mail.yaml"
    config.write_text(CONFIG.format(http=web, smtp=smtp, redis=redis, folder=folder), encoding="utf-8")
    pid = stack.enter_context(python("-m", "gateway", "run", "--config", str(config), port=web))
    found["gateway, end to end"] = smtp, pid
    if modules := os.environ.get("HARAKA"):
        found["Haraka, publishes to Redis"] = haraka(stack, folder, redis, Path(modules) / "node_modules")
    return found


def haraka(stack: ExitStack, folder: Path, redis: str, modules: Path) -> tuple[int, int]:
    """Port and pid of a Haraka with its own defaults and our plugin."""
    home, port = folder / "haraka", free_port()
    shutil.copytree(modules / "Haraka" / "config", home / "config")
    shutil.copytree(PEERS / "haraka", home, dirs_exist_ok=True)
    settings = home / "config" / "smtp.ini"
    settings.write_text(settings.read_text(encoding="utf-8").format(port=port), encoding="utf-8")
    (home / "node_modules").symlink_to(modules.resolve())
    node = shutil.which("node") or "node"
    command = ("env", f"BENCH_REDIS={redis}", node, str(modules / ".bin" / "haraka"), "-c", str(home))
    return port, stack.enter_context(server(*command, port=port))


def main() -> None:
    """The servers on the first core, load and Redis on the second."""
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        runner = stack.enter_context(asyncio.Runner())
        context = embedded(EmbeddedOptions(folder / "valkey", free_port(), fsync="everysec", max_memory=6 * 2**30))
        redis = runner.run(context.__aenter__()).url
        stack.callback(lambda: runner.run(context.__aexit__(None, None, None)))
        found = listeners(stack, folder, redis)
        for size, once in ((2_000, True), (2_000, False), (100_000, True), (100_000, False)):
            contenders = [
                Contender(who, port, SESSIONS, pid, client(size, once=once)) for who, (port, pid) in found.items()
            ]
            measure(contenders, ROUNDS, SECONDS)
            stock, *ours = contenders
            print(f"\n{size:,} bytes, {'one mail' if once else 'many mails'} per session\n{HEADING}")
            for one in contenders:
                print(one)
            for one in ours:
                print(f"per CPU second: {one.name} / stock aiosmtpd {ratio(one, stock)}")


if __name__ == "__main__":
    main()
