"""`make soak`: every channel under load for half an hour while things break at random; what was accepted arrives, once.

`python -m tests.acceptance.soak --minutes 30 --seed 1`. Nothing is timed; the memory of the gateway has to stay flat.
"""

import argparse
import asyncio
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from gateway.queue.consumer import Consumer, Delivery
from tests.acceptance.conftest import Gateway
from tests.acceptance.load import Load
from tests.benchmarks.webhooks import makers
from tests.gateway.proxy import Proxy, proxy
from tests.gateway.servers import Server, Servers
from tests.support import until

ROOT = Path(__file__).parent.parent.parent
VENDORS = {"slack": "ts", "x": None, "phone": "MessageSid"}
_TOKENS = {"slack": rb'"ts": ?"([0-9.]+)"', "x": rb"(19900000000\d{8})", "phone": rb"MessageSid=(SM\w+)"}
"""What of a vendor's request comes back as the external id of its envelope."""
_MEGABYTE = 2**20


class Arrivals:
    """What a core system reads: each entry of the streams, by envelope id and by external id."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.external: set[str] = set()
        self.twice: list[str] = []

    async def take(self, delivery: Delivery) -> None:
        """The same entry may be delivered again; another entry with the same id is a ticket twice."""
        if self.entries.setdefault(delivery.id, delivery.entry_id) != delivery.entry_id:
            self.twice.append(delivery.id)
        self.external.add(delivery.envelope["data"]["external_id"])


class Webhooks:
    """A vendor's requests, each until it is answered 2xx."""

    def __init__(self, gateway: Gateway) -> None:
        self.accepted: set[str] = set()
        self.ids: set[str] = set()
        self._gateway = gateway
        self._stopping = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Webhooks"]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            each = makers(self._gateway.url).items()
            senders = [asyncio.create_task(self._send(session, name, make)) for name, make in each]
            try:
                yield self
            finally:
                self._stopping = True
                await asyncio.gather(*senders)

    async def _send(self, session: aiohttp.ClientSession, inbox: str, make: Callable[[], bytes]) -> None:
        number = 0
        while not self._stopping:
            head, _, body = make().partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            headers.pop("Host")
            if inbox in ("callback", "portal"):  # no vendor's id: a retry needs a key
                number += 1
                headers["Idempotency-Key"] = f"{inbox}-{number}"
            url = self._gateway.url + first.split()[1]
            while not await self._post(session, inbox, url, headers, body):  # noqa: ASYNC110 - it is a sender
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.02)

    async def _post(
        self, session: aiohttp.ClientSession, inbox: str, url: str, headers: dict[str, str], body: bytes
    ) -> bool:
        try:
            async with session.post(url, data=body, headers=headers) as answer:
                if answer.status >= 400:
                    if answer.status != 503:
                        raise AssertionError(f"{inbox}: a good request was answered {answer.status}")
                    return False
                if inbox in VENDORS:
                    found = re.search(_TOKENS[inbox], body)
                    assert found, inbox
                    self.accepted.add(found[1].decode())
                else:
                    self.ids.add((await answer.json())["id"])
                return True
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False


Fault = Callable[[], Awaitable[None]]


class Chaos:
    """One fault after another, each mended before the next."""

    def __init__(self, gateway: Gateway, server: Server, between: Proxy, picks: random.Random) -> None:
        self._gateway, self._server, self._between, self._picks = gateway, server, between, picks
        self.made: list[str] = []

    def faults(self, *, kill: bool) -> dict[str, Fault]:
        """By name; `kill` adds those that end the gateway's process."""
        some: dict[str, Fault] = {
            "redis killed": self._kill_redis,
            "redis stalled": self._stall,
            "connections cut": self._cut,
            "packets vanish": self._hole,
            "answers trickle": self._trickle,
            "out of memory": self._full,
            "read only": self._read_only,
        }
        return some | ({"gateway killed": self._kill, "gateway stopped": self._stop} if kill else {})

    async def one(self, *, kill: bool) -> None:
        name, fault = self._picks.choice(sorted(self.faults(kill=kill).items()))
        self.made.append(name)
        await fault()

    async def _wait(self) -> None:
        await asyncio.sleep(self._picks.uniform(0.5, 5))

    async def _kill_redis(self) -> None:
        self._server.kill()
        await self._wait()
        await asyncio.to_thread(self._server.start)

    async def _stall(self) -> None:
        with self._server.stalled():
            await self._wait()

    async def _cut(self) -> None:
        for _ in range(10):
            self._between.cut()
            await asyncio.sleep(0.05)

    async def _hole(self) -> None:
        self._between.hole = True
        await self._wait()
        self._between.hole = False
        self._between.cut()

    async def _trickle(self) -> None:
        self._between.trickle = 0.3
        await self._wait()
        self._between.trickle = None
        self._between.cut()

    async def _full(self) -> None:
        self._server.do("CONFIG", "SET", "maxmemory", "1")
        await self._wait()
        self._server.do("CONFIG", "SET", "maxmemory", "0")

    async def _read_only(self) -> None:
        self._server.do("REPLICAOF", "127.0.0.1", "1")
        await self._wait()
        self._server.do("REPLICAOF", "NO", "ONE")

    async def _kill(self) -> None:
        await asyncio.to_thread(self._gateway.stop, signal.SIGKILL)
        await asyncio.to_thread(self._gateway.start)

    async def _stop(self) -> None:
        await asyncio.to_thread(self._gateway.stop)
        await asyncio.to_thread(self._gateway.start)


def shipped(gateway: Gateway, queue: str) -> None:
    """The shipped configuration on this gateway's ports and folder: every channel."""
    text = (ROOT / "config" / "gateway.yaml").read_text(encoding="utf-8")
    gateway.config.write_text(text, encoding="utf-8")
    gateway.environ |= {
        "PORT": str(gateway.http),
        "PUBLIC_URL": gateway.url,
        "SMTP_PORT": str(gateway.smtp),
        "REDIS_URL": queue,
        "OBJECTS_URL": f"file://{gateway.folder}/objects",
        "SPOOL_DIR": f"{gateway.folder}/spool",
    }


def memory(gateway: Gateway) -> int:
    """Resident bytes of the gateway's process."""
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


async def soak(folder: Path, minutes: float, seed: int) -> list[str]:
    """Run it; what is wrong afterwards."""
    picks = random.Random(seed)
    servers = Servers(folder / "servers")
    gateway = Gateway(folder)
    arrivals, sizes = Arrivals(), list[int]()
    try:
        server = servers.single(appendonly="yes", appendfsync="everysec")
        async with AsyncExitStack() as stack:
            between = await stack.enter_async_context(proxy(server.port))
            shipped(gateway, between.url)
            await asyncio.to_thread(gateway.start)
            await stack.enter_async_context(Consumer(server.url, arrivals.take))
            load, hooks = Load(gateway.url, gateway.smtp, name=f"soak{seed}"), Webhooks(gateway)
            chaos = Chaos(gateway, server, between, picks)
            began, said = time.monotonic(), 0.0
            async with load.running(forms=4, mails=2), hooks.running():
                while (passed := time.monotonic() - began) < minutes * 60:
                    await asyncio.sleep(picks.uniform(1, 8))
                    await chaos.one(kill=passed < minutes * 60 / 3)
                    if passed > minutes * 60 / 3:
                        sizes.append(memory(gateway))
                    if passed - said > 30:
                        said = passed
                        count = len(load.ledger.accepted) + len(hooks.accepted) + len(hooks.ids)
                        print(f"{passed:6.0f} s  accepted {count}  arrived {len(arrivals.entries)}  {chaos.made[-1]}")
            owed = set(load.ledger.accepted) | hooks.ids
            await until(lambda: owed <= set(arrivals.entries) and hooks.accepted <= _external(arrivals), within=120)
            left = server.do("XLEN", "{tickets}:dead")
    finally:
        gateway.clean_up()
        servers.stop()
    total = len(owed) + len(hooks.accepted)
    wrong = [f"{len(arrivals.twice)} tickets twice"] if arrivals.twice else []
    if len(arrivals.entries) != total:
        wrong.append(f"{len(arrivals.entries)} arrived of {total} accepted")
    if left:
        wrong.append(f"{left} dead letters")
    early, late = _thirds(sizes)
    print(
        f"{total} accepted, {len(arrivals.entries)} arrived; {len(chaos.made)} faults; deferred {load.ledger.deferred}"
    )
    print(f"memory of the gateway: {early / _MEGABYTE:.0f} MB, at the end {late / _MEGABYTE:.0f} MB")
    if late > early * 1.3:
        wrong.append("memory grows")
    return wrong


def _external(arrivals: Arrivals) -> set[str]:
    """External ids, and the last part of those that are made of several."""
    return arrivals.external | {part for one in arrivals.external for part in re.split(r"[:/]", one)}


def _thirds(sizes: list[int]) -> tuple[float, float]:
    part = max(len(sizes) // 3, 1)
    return sum(sizes[:part]) / part, sum(sizes[-part:]) / part


def main() -> None:
    """Exit 1 where anything is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}, {chosen.minutes:g} minutes")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        wrong = asyncio.run(soak(Path(folder), chosen.minutes, chosen.seed))
    for one in wrong:
        print(one)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
