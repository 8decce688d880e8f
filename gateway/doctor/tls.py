"""TLS: do customers and vendors reach the gateway encrypted, and for how much longer."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from gateway.doctor import Finding, failing, ok, warning
from gateway.settings import Settings, development

_TIMEOUT = 1.5
_RENEWED_BY = 14
"""Days before the end by which renewal has happened where it works."""


async def check(settings: Settings) -> Sequence[Finding]:
    """A handshake with the public URL; nothing is sent."""
    parts = urlsplit(settings.http.public_url)
    host, port = parts.hostname or "", parts.port or 443
    if parts.scheme != "https":
        if development.is_loopback(host):
            return [ok("the public URL is this machine's own: nothing leaves it unencrypted")]
        remedy = "put TLS in front (a proxy, a tunnel) and let PUBLIC_URL begin with https://"
        return [warning("the public URL is not https: what customers write can be read on its way", remedy)]
    try:
        days = await _days_left(host, port)
    except ssl.SSLCertVerificationError as error:
        return [failing(f"the certificate of {host} is not trusted: {error.verify_message}", "renew or replace it")]
    except (OSError, TimeoutError, ssl.SSLError):
        return [warning(f"no TLS at {host}:{port} as seen from here", "see public_url: it must lead to the gateway")]
    if days < _RENEWED_BY:
        return [warning(f"the certificate of {host} ends in {days:.0f} days", "see why it was not renewed")]
    return [ok(f"the certificate of {host} is good for {days:.0f} days")]


async def _days_left(host: str, port: int) -> float:
    """Raises OSError, TimeoutError, ssl.SSLError."""
    async with asyncio.timeout(_TIMEOUT):
        _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
        try:
            certificate = writer.get_extra_info("peercert")
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
    return (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86_400
