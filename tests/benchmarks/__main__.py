"""`make bench`: the gateway beside its peers in one run; server on one core, load and Redis on the other.

Figures are messages per CPU second of the server process (its own user and system time): that is what
holds from machine to machine. Rounds alternate, so that a slow spell of the machine hits everybody.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter

import uvloop

from gateway.queue.embedded import EmbeddedOptions, embedded
from tests.benchmarks import webhooks
from tests.benchmarks.load import Http, Smtp, drive
from tests.support import free_port, wait_for_port

ROUNDS, SECONDS, WARM_UP = 5, 3.0, 0.7
HTTP_CONNECTIONS, SMTP_SESSIONS = 64, 16
TICKS = os.sysconf("SC_CLK_TCK")
FORM = (
    '{"name":"김민수","email":"minsu@acme.example","subject":"결제 오류",'
    '"message":"영수증이 두 번 결제됐어요. ' + "주문 번호는 20261122-0042 입니다. " * 16 + '"}'
).encode()
MAIL = (
    "From: =?utf-8?b?6rmA66+87IiY?= <minsu@acme.example>\r\nTo: support@example.com\r\n"
    "Subject: =?utf-8?b?6rKw7KCcIOyYpOulmA==?=\r\nMessage-ID: <{n}@load.example>\r\n"
    "Date: Sun, 22 Nov 2026 14:00:00 +0900\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + "영수증이 두 번 결제됐어요. 확인 부탁드립니다.\r\n" * 26
    + "\r\n.\r\n"
)
CONFIG = """\
http: {{host: 127.0.0.1, port: {http}}}
queue: {{url: "{redis}"}}
objects: {{url: "file://{folder}/objects"}}
directory: [{{type: file, path: config/customers.csv}}]
channels:
  contact: {{type: web_form, brand: example}}
  support: {{type: email, listen: "127.0.0.1:{smtp}", recipients: [support@example.com]}}
"""


@dataclass
class Contender:
    """A server under test and what its rounds gave."""

    name: str
    port: int
    connections: int
    pid: int
    client: Callable[[float, list[float]], Http | Smtp]
    per_cpu_second: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Load it once; a round with a failed answer is an error, not a figure."""
        latencies: list[float] = []
        used, began = cpu_seconds(self.pid), perf_counter()

        async def main() -> None:
            until = perf_counter() + seconds
            await drive(self.port, self.connections, lambda: self.client(until, latencies), within=seconds + 10)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
        elapsed, used = perf_counter() - began, cpu_seconds(self.pid) - used
        latencies.sort()
        self.per_second.append(len(latencies) / elapsed)
        self.per_cpu_second.append(len(latencies) / used)
        self.p50.append(latencies[len(latencies) // 2] * 1000)
        self.p99.append(latencies[len(latencies) * 99 // 100] * 1000)

    def __str__(self) -> str:
        rate, cpu, p50, p99 = map(statistics.median, (self.per_second, self.per_cpu_second, self.p50, self.p99))
        return f"{self.name:<44} {rate:>9,.0f} {cpu:>12,.0f} {p50:>9.2f} {p99:>9.2f}"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def server(*arguments: str, port: int) -> Iterator[int]:
    """A Python process pinned to the first core; yields its pid once it listens."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=said, stderr=said, preexec_fn=lambda: os.sched_setaffinity(0, {0})
        )
        try:
            wait_for_port(port, process)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def post(path: str) -> bytes:
    """The JSON form as one request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(FORM)}\r\n\r\n".encode() + FORM


def http(request: bytes, expect: bytes) -> Callable[[float, list[float]], Http]:
    """A form client."""
    return lambda until, latencies: Http(lambda: request, expect, until, latencies)


def webhook(request: Callable[[], bytes]) -> Callable[[float, list[float]], Http]:
    """A vendor, or a program: every request is a new message."""
    return lambda until, latencies: Http(request, b"HTTP/1.1 20", until, latencies)


def smtp() -> Callable[[float, list[float]], Smtp]:
    """A mail client; every mail is a new one."""
    numbers = count()
    return lambda until, latencies: Smtp(lambda: MAIL.format(n=next(numbers)).encode(), until, latencies)


def start(stack: ExitStack, folder: Path, redis: str) -> tuple[list[Contender], list[Contender]]:
    """Everybody, listening."""
    hello, read_json, fastapi, stock, form, mail = (free_port() for _ in range(6))
    config = folder / "gateway.yaml"
    config.write_text(CONFIG.format(http=form, smtp=mail, redis=redis, folder=folder), encoding="utf-8")
    peers = "tests.benchmarks.peers"
    gateway_pid = stack.enter_context(server("-m", "gateway", "run", "--config", str(config), port=form))
    get = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    forms = [
        Contender(
            "bare aiohttp hello",
            hello,
            HTTP_CONNECTIONS,
            stack.enter_context(server("-m", f"{peers}.hello", str(hello), port=hello)),
            http(get, b"HTTP/1.1 200"),
        ),
        Contender(
            "aiohttp that reads JSON, keeps nothing",
            read_json,
            HTTP_CONNECTIONS,
            stack.enter_context(server("-m", f"{peers}.read_json", str(read_json), port=read_json)),
            http(post("/"), b"HTTP/1.1 202"),
        ),
        Contender(
            "FastAPI + redis-py, XADD only",
            fastapi,
            HTTP_CONNECTIONS,
            stack.enter_context(server("-m", f"{peers}.fastapi_xadd", str(fastapi), redis, port=fastapi)),
            http(post("/"), b"HTTP/1.1 202"),
        ),
        Contender(
            "gateway, JSON form end to end",
            form,
            HTTP_CONNECTIONS,
            gateway_pid,
            http(post("/channels/contact"), b"HTTP/1.1 202"),
        ),
    ]
    mails = [
        Contender(
            "stock aiosmtpd, discards",
            stock,
            SMTP_SESSIONS,
            stack.enter_context(server("-m", f"{peers}.aiosmtpd_discard", str(stock), port=stock)),
            smtp(),
        ),
        Contender("gateway, SMTP end to end", mail, SMTP_SESSIONS, gateway_pid, smtp()),
    ]
    return forms, mails


def start_webhooks(stack: ExitStack, folder: Path, redis: str) -> list[Contender]:
    """Every HTTP channel of the shipped configuration, on one server."""
    port = free_port()
    config = folder / "shipped.yaml"
    text = Path("config/gateway.yaml").read_text(encoding="utf-8").replace("${PORT:-8080}", str(port))
    text = text.replace("${REDIS_URL:-embedded}", redis).replace("${SMTP_PORT:-2525}", str(free_port()))
    text = text.replace("${X_USER_ID:-1000000000000000001}", webhooks.X_ACCOUNT)
    config.write_text(text.replace("${OBJECTS_URL:-file://var/objects}", f"file://{folder}/more"), encoding="utf-8")
    pid = stack.enter_context(server("-m", "gateway", "run", "--config", str(config), port=port))
    return [
        Contender(f"gateway, {name} ({HTTP_CONNECTIONS} connections)", port, HTTP_CONNECTIONS, pid, webhook(make))
        for name, make in webhooks.makers(f"http://127.0.0.1:{port}").items()
    ]


def measure(contenders: list[Contender]) -> None:
    """Alternate the rounds; the warm-up is thrown away."""
    for contender in contenders:
        contender.round(WARM_UP)
        for figures in (contender.per_cpu_second, contender.per_second, contender.p50, contender.p99):
            figures.clear()
    for _ in range(ROUNDS):
        for contender in contenders:
            contender.round(SECONDS)


def ratio(one: Contender, other: Contender) -> str:
    """Per CPU second, pair by pair."""
    pairs = [a / b for a, b in zip(one.per_cpu_second, other.per_cpu_second, strict=True)]
    return f"{statistics.median(pairs):.2f} (rounds {min(pairs):.2f} to {max(pairs):.2f})"


def report(forms: list[Contender], mails: list[Contender], hooks: list[Contender]) -> None:
    """Print the table and the ratios."""
    print(f"\n{'':<44} {'per s':>9} {'per CPU s':>12} {'p50 ms':>9} {'p99 ms':>9}")
    for contender in (*forms, *mails, *hooks):
        print(contender)
    hello, read_json, fastapi, form = forms
    stock, mail = mails
    print(f"\nper CPU second: form / hello      {ratio(form, hello)}   goal 0.45")
    print(f"                form / reads JSON {ratio(form, read_json)}")
    print(f"                form / FastAPI    {ratio(form, fastapi)}   goal 4")
    print(f"                mail / aiosmtpd   {ratio(mail, stock)}   durable, parsed and stored against discarded")


def main() -> None:
    """Pin this process, and so the load and Redis, to the second core."""
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        runner = stack.enter_context(asyncio.Runner())
        context = embedded(EmbeddedOptions(folder / "valkey", free_port(), fsync="everysec", max_memory=4 * 2**30))
        redis = runner.run(context.__aenter__()).url
        stack.callback(lambda: runner.run(context.__aexit__(None, None, None)))
        print(
            f"{HTTP_CONNECTIONS} HTTP connections with {len(FORM)} bytes of JSON, {SMTP_SESSIONS} SMTP sessions with "
            f"{len(MAIL.encode())} bytes of mail, many per session; {ROUNDS} rounds of {SECONDS:g} s each, medians; "
            "Redis fsync everysec; gateway logs each message"
        )
        forms, mails = start(stack, folder, redis)
        measure(forms)
        measure(mails)
        hooks = start_webhooks(stack, folder, redis)
        measure(hooks)
        report(forms, mails, hooks)


if __name__ == "__main__":
    main()
