"""What the tests of the embedded server share."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from gateway.queue.embedded.embedded import EmbeddedOptions
from gateway.queue.locks import try_exclusive

ROOT = Path(__file__).parents[2]

# A gateway as far as the server is concerned: starts when told, says what it got, adds an entry, leaves when told.
GATEWAY = """
import asyncio, json, sys
from pathlib import Path
from redis.asyncio import Redis
from gateway.queue.embedded.embedded import EmbeddedOptions, embedded

async def main(directory, port):
    print("imported", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    async with embedded(EmbeddedOptions(Path(directory), int(port))) as server:
        async with Redis.from_url(server.url) as client:
            await client.xadd("entries", {"by": "gateway"})
        print(json.dumps({"pid": server.pid, "adopted": server.adopted, "url": server.url}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main(*sys.argv[1:]))
"""


class Events:
    """What was reported, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Mapping[str, object]]] = []

    def __call__(self, event: str, fields: Mapping[str, object]) -> None:
        self.seen.append((event, dict(fields)))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.seen]

    def fields(self, event: str) -> Mapping[str, object]:
        return next(fields for name, fields in self.seen if name == event)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.005)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def lock_is_free(options: EmbeddedOptions) -> bool:
    if (lock := try_exclusive(options.dir / "server.lock")) is None:
        return False
    os.close(lock)
    return True


async def add(url: str, count: int = 1) -> None:
    async with Redis.from_url(url) as client:
        for number in range(count):
            await client.xadd("entries", {"n": number})


async def count(url: str) -> int:
    async with Redis.from_url(url) as client:
        return int(await client.xlen("entries"))


@asynccontextmanager
async def gateway_process(options: EmbeddedOptions) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, str(options.dir), str(options.port), stdin=PIPE, stdout=PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"imported\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def go_on(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")


async def got(process: Process) -> tuple[int, bool, str]:
    assert process.stdout is not None
    said = json.loads(await process.stdout.readline())
    return said["pid"], said["adopted"], said["url"]
