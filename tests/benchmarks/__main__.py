"""`make bench`: the gateway beside its peers in one run; server on one core, load and Redis on the other.

Figures are messages per CPU second of the server process (its own user and system time): that is what
holds from machine to machine. Rounds alternate, so that a slow spell of the machine hits everybody.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from tests.benchmarks import mail_servers, mails, queueing, tagging, webhooks
from tests.benchmarks.contenders import HEADING, Client, Contender, measure, python, ratio
from tests.benchmarks.load import Http
from tests.benchmarks.natives import natives
from tests.support import free_port

FORM_ROUNDS, FORM_SECONDS = 15, 1.0
"""Many short rounds: what else the machine does comes and goes by the second."""
ROUNDS, SECONDS = 5, 2.0
HTTP_CONNECTIONS = 64
FORM = (
    '{"name":"김민수","email":"minsu@acme.example","subject":"결제 오류",'
    '"message":"영수증이 두 번 결제됐어요. ' + "주문 번호는 20261122-0042 입니다. " * 16 + '"}'
).encode()
CONFIG = """\
http: {{host: 127.0.0.1, port: {http}}}
queue: {{url: "{redis}"}}
spool: {{dir: "{folder}/spool-{name}", max_bytes: 20GB}}
objects: {{url: "file://{folder}/objects"}}
directory: [{{type: file, path: config/customers.csv}}]
channels:
  contact: {{type: web_form, brand: example}}
"""


def post(path: str) -> bytes:
    """The JSON form as one request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(FORM)}\r\n\r\n".encode() + FORM


def http(request: bytes, expect: bytes) -> Client:
    """A form client."""
    return lambda until, latencies: Http(lambda: request, expect, until, latencies)


def webhook(request: Callable[[], bytes]) -> Client:
    """A vendor, or a program: every request is a new message."""
    return lambda until, latencies: Http(request, b"HTTP/1.1 20", until, latencies)


def gateway(stack: ExitStack, folder: Path, name: str, redis: str) -> tuple[int, int]:
    """A gateway with a form: its port and its pid."""
    form = free_port()
    config = folder / f"{name}.yaml"
    config.write_text(CONFIG.format(http=form, redis=redis, folder=folder, name=name), encoding="utf-8")
    return form, stack.enter_context(python("-m", "gateway", "run", "--config", str(config), port=form))


def start(stack: ExitStack, folder: Path, redis: str) -> dict[str, Contender]:
    """Everybody, listening: the form and its peers by name."""
    hello, read_json, fastapi = (free_port() for _ in range(3))
    peers = "tests.benchmarks.peers"
    form, gateway_pid = gateway(stack, folder, "gateway", redis)
    away, away_pid = gateway(stack, folder, "away", f"redis://127.0.0.1:{free_port()}")
    others = {
        name: Contender(about, port, HTTP_CONNECTIONS, pid, http(request, b"HTTP/1.1 20"))
        for name, about, port, pid, request in natives(stack, folder, redis, FORM)
    }
    get = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    forms = [
        Contender(
            "bare aiohttp hello",
            hello,
            HTTP_CONNECTIONS,
            stack.enter_context(python("-m", f"{peers}.hello", str(hello), port=hello)),
            http(get, b"HTTP/1.1 200"),
        ),
        Contender(
            "aiohttp that reads JSON, keeps nothing",
            read_json,
            HTTP_CONNECTIONS,
            stack.enter_context(python("-m", f"{peers}.read_json", str(read_json), port=read_json)),
            http(post("/"), b"HTTP/1.1 202"),
        ),
        Contender(
            "FastAPI + redis-py, XADD only",
            fastapi,
            HTTP_CONNECTIONS,
            stack.enter_context(python("-m", f"{peers}.fastapi_xadd", str(fastapi), redis, port=fastapi)),
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
    forms.append(
        Contender(
            "gateway, Redis away: the form into the spool",
            away,
            HTTP_CONNECTIONS,
            away_pid,
            http(post("/channels/contact"), b"HTTP/1.1 202"),
        )
    )
    return {**dict(zip(("hello", "read_json", "fastapi", "form", "away"), forms, strict=True)), **others}


def start_webhooks(stack: ExitStack, folder: Path, redis: str) -> list[Contender]:
    """Every HTTP channel of the shipped configuration, on one server."""
    port = free_port()
    config = folder / "shipped.yaml"
    text = Path("config/gateway.yaml").read_text(encoding="utf-8").replace("${PORT:-8080}", str(port))
    text = text.replace("${REDIS_URL:-embedded}", redis).replace("${SMTP_PORT:-2525}", str(free_port()))
    text = text.replace("${SPOOL_DIR:-var/spool}", f"{folder}/spool-shipped")
    text = text.replace("${X_USER_ID:-1000000000000000001}", webhooks.X_ACCOUNT)
    config.write_text(text.replace("${OBJECTS_URL:-file://var/objects}", f"file://{folder}/more"), encoding="utf-8")
    pid = stack.enter_context(python("-m", "gateway", "run", "--config", str(config), port=port))
    return [
        Contender(f"gateway, {name} ({HTTP_CONNECTIONS} connections)", port, HTTP_CONNECTIONS, pid, webhook(make))
        for name, make in webhooks.makers(f"http://127.0.0.1:{port}").items()
    ]


def report(forms: dict[str, Contender], hooks: list[Contender]) -> None:
    """Print the table and the ratios."""
    print(f"\n{HEADING}")
    for contender in (*forms.values(), *hooks):
        print(contender)
    form = forms["form"]
    print(f"\nper CPU second: form / hello         {ratio(form, forms['hello'])}   goal 0.50")
    print(f"                form / reads JSON    {ratio(form, forms['read_json'])}")
    print(f"                form / FastAPI       {ratio(form, forms['fastapi'])}   goal 4.5")
    for name, goal in (("nginx", 0.75), ("webdis", 0.30)):
        if name in forms:
            print(f"                form / {name:<13} {ratio(form, forms[name])}   goal {goal}")
        else:
            print(f"                {name}: not installed, not measured")
    print(f"                Redis away / up      {ratio(forms['away'], form)}   goal 0.75")


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
            f"{HTTP_CONNECTIONS} HTTP connections with {len(FORM)} bytes of JSON; {FORM_ROUNDS} rounds of "
            f"{FORM_SECONDS:g} s for the form and its peers, {ROUNDS} of {SECONDS:g} s for the rest, medians; "
            "Redis fsync everysec; gateway logs each message"
        )
        forms = start(stack, folder, redis)
        measure([*forms.values()], FORM_ROUNDS, FORM_SECONDS)
        hooks = start_webhooks(stack, folder, redis)
        measure(hooks, ROUNDS, SECONDS)
        report(forms, hooks)
    mail_servers.main()
    mails.main()
    queueing.main()
    print("\nThe tagging step alone, warm:")
    asyncio.run(tagging.main())


if __name__ == "__main__":
    main()
