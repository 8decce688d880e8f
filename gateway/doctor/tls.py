"""TLS: do customers and vendors reach the gateway encrypted, and for how much longer."""

import asyncio
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from channels.email.settings import EmailSettings
from gateway.doctor import Finding, failing, ok, warning
from gateway.settings import Settings, development

_TIMEOUT = 1.5
_RENEWED_BY = 14
"""Days before the end by which renewal has happened where it works."""
_DAY = 86_400


async def check(settings: Settings) -> Sequence[Finding]:
    """A handshake with the public URL, where nothing is sent; and the certificates of mail, as they are on disk."""
    return [await _web(settings), *await asyncio.to_thread(lambda: list(_mail(settings)))]


async def _web(settings: Settings) -> Finding:
    parts = urlsplit(settings.http.public_url)
    host, port = parts.hostname or "", parts.port or 443
    if parts.scheme != "https":
        if development.is_loopback(host):
            return ok("the public URL is this machine's own: nothing leaves it unencrypted")
        remedy = "put TLS in front (a proxy, a tunnel) and let PUBLIC_URL begin with https://"
        return warning("the public URL is not https: what customers write can be read on its way", remedy)
    try:
        days = await _days_left(host, port)
    except ssl.SSLCertVerificationError as error:
        return failing(f"the certificate of {host} is not trusted: {error.verify_message}", "renew or replace it")
    except (OSError, TimeoutError, ssl.SSLError):
        return warning(f"no TLS at {host}:{port} as seen from here", "see public_url: it must lead to the gateway")
    return _lasting(f"the certificate of {host}", days)


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
    return (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / _DAY


def _mail(settings: Settings) -> Iterator[Finding]:
    """Of each SMTP server that has one; mail servers seldom ask who signed it, so that is not asked here."""
    from channels.email.smtp.certificate import load  # the SMTP server's libraries, for those who have one

    seen: set[str] = set()
    for name, inbox in settings.channels.items():
        if not isinstance(inbox, EmailSettings) or not inbox.enabled or not inbox.listen or inbox.listen in seen:
            continue
        seen.add(inbox.listen)
        if inbox.tls is None:
            if not development.is_loopback((inbox.endpoint or ("", 0))[0]):
                remedy = "set tls, or listen on loopback behind a relay that has it"
                yield warning(f"mail to inbox {name} travels without TLS", remedy)
            continue
        try:
            load(inbox.tls)
        except OSError as error:
            yield failing(f"inbox {name}: {error}", "mend the files; a gateway that runs keeps the last good pair")
            continue
        yield from _certificate(name, inbox.tls.certificate.read_bytes(), inbox.hostname)


def _certificate(inbox: str, pem: bytes, hostname: str) -> Iterator[Finding]:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(pem)
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    yield _lasting(f"the mail certificate of inbox {inbox}", left.total_seconds() / _DAY)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    except x509.ExtensionNotFound:
        known = set()
    if not known & {hostname.lower(), f"*.{hostname.lower().partition('.')[2]}"}:
        remedy = "set hostname to the name of the MX record, and have a certificate for it"
        yield warning(f"the mail certificate of inbox {inbox} is not for its hostname, {hostname}", remedy)


def _lasting(what: str, days: float) -> Finding:
    if days < 0:
        return failing(f"{what} has ended", "renew it: senders may refuse to deliver")
    if days < _RENEWED_BY:
        return warning(f"{what} ends in {days:.0f} days", "see why it was not renewed")
    return ok(f"{what} is good for {days:.0f} days")
