"""The gateway itself: does it listen where the settings say, and is it ready."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network

import msgspec

from channels.api import ChannelSettings
from channels.email.settings import EmailSettings
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
        name: (listen, inbox)
        for name, inbox in settings.channels.items()
        if inbox.enabled and isinstance(listen := getattr(inbox, "listen", None), str)
    }
    looks = (_own(name, listen, inbox) for name, (listen, inbox) in addresses.items())
    return await asyncio.gather(_web(settings), *looks)


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


async def _own(name: str, listen: str, inbox: ChannelSettings) -> Finding:
    """Something that greets: SMTP speaks first."""
    host, _, port = listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))
    try:
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                if isinstance(inbox, EmailSettings):
                    await _introduce(inbox, writer)
                greeting = await reader.readline()
                writer.write(b"QUIT\r\n")
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except ssl.SSLError:
        return failing(f"what listens at {listen} does not speak TLS as inbox {name} does", "stop it, or restart it")
    except (OSError, TimeoutError, ValueError):
        return warning(f"inbox {name} does not listen at {listen}", _START)
    if greeting.startswith(b"220 "):
        return ok(f"inbox {name} greets at {listen}")
    return failing(f"what listens at {listen} does not greet as inbox {name} does", "stop it, or set another listen")


async def _introduce(inbox: EmailSettings, writer: asyncio.StreamWriter) -> None:
    """What an SMTP server may want before it greets: a PROXY header, TLS."""
    own = ip_address(writer.get_extra_info("sockname")[0].partition("%")[0])
    if any(own in ip_network(network) for network in inbox.proxy_protocol_from):
        writer.write(b"PROXY UNKNOWN\r\n")
    if inbox.tls and inbox.tls.mode == "implicit":
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE  # it goes by address; tls looks at names
        await writer.start_tls(trusting, server_hostname=inbox.hostname)
