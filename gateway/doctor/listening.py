"""The gateway itself: does it listen where the settings say, and is it ready."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from gateway import http
from gateway.doctor import Finding, failing, ok, warning, web
from gateway.settings import Settings

_TIMEOUT = 1.0
_START = "start it: python -m gateway run"


class _Ready(msgspec.Struct):
    checks: Mapping[str, str] = {}


async def check(settings: Settings) -> Sequence[Finding]:
    """The web's port, and those of inboxes that have one of their own."""
    addresses = {
        name: listen
        for name, inbox in settings.channels.items()
        if inbox.enabled and isinstance(listen := getattr(inbox, "listen", None), str)
    }
    return await asyncio.gather(_web(settings), *(_own(name, listen) for name, listen in addresses.items()))


async def _web(settings: Settings) -> Finding:
    url = http.url(settings.http.host, settings.http.port)
    try:
        status, body = await web.get(f"{url}/readyz")
    except web.Unreachable as error:
        return warning(f"no gateway runs at {url} ({error})", _START)
    if status == 200:
        return ok(f"the gateway at {url} is ready")
    try:
        words = ", ".join(f"{name} {word}" for name, word in msgspec.json.decode(body, type=_Ready).checks.items())
    except msgspec.DecodeError:
        words = ""
    if status == 503 and words:
        return failing(f"the gateway at {url} is not ready: {words}", "mend what is failing; it needs no restart")
    return failing(f"another program answers at {url} (HTTP {status})", "stop it, or set PORT")


async def _own(name: str, listen: str) -> Finding:
    """Something that greets: SMTP speaks first."""
    host, _, port = listen.rpartition(":")
    try:
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            try:
                greeting = await reader.readline()
                writer.write(b"QUIT\r\n")
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):
        return warning(f"inbox {name} does not listen at {listen}", _START)
    if greeting.startswith(b"220 "):
        return ok(f"inbox {name} greets at {listen}")
    return failing(f"what listens at {listen} does not greet as inbox {name} does", "stop it, or set another listen")
