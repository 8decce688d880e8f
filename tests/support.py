"""What tests of every room share."""

import asyncio
import os
import random
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

_handed_out: set[int] = set()
_PORTS = 2_000


def free_port() -> int:
    """A loopback port nobody listens on; never the same one twice in a process, nor in two test processes at once.

    Below the range the kernel takes client ports from: no client socket is on it by the time it is used. The bus of
    a cluster is 10,000 higher.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = 15_000 + worker * _PORTS + random.randrange(_PORTS)
        if port in _handed_out:
            continue
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], *, within: float = 30.0) -> None:
    """Return once `process` listens on a loopback port; raise if it ends or takes longer than `within` seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise AssertionError(f"{process.args!r} ended with {process.returncode}")
        time.sleep(0.02)
    raise AssertionError(f"{process.args!r} does not listen on {port} within {within} s")


async def until(true: Callable[[], bool | Awaitable[bool]], *, within: float = 10.0) -> None:
    """Return once it is true; TimeoutError if that takes more than `within` seconds."""
    async with asyncio.timeout(within):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)
