"""The public URL: does it lead here."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from gateway.doctor import Finding, failing, ok, warning, web
from gateway.settings import Settings, development


async def check(settings: Settings) -> Sequence[Finding]:
    """One GET of `/livez` from outside, as far as this machine sees the outside."""
    url = settings.http.public_url
    remedy = "let the proxy pass it to the gateway, or set PUBLIC_URL to the address the world sees"
    here = development.is_loopback(urlsplit(url).hostname or "")
    try:
        status, body = await web.get(f"{url}/livez")
    except web.Unreachable as error:
        if here:  # whether the gateway runs is another check's to say
            return [warning(f"{url}/livez does not answer ({error})", "start the gateway")]
        return [failing(f"{url}/livez does not answer ({error})", remedy)]
    if status in (301, 302, 303, 307, 308):
        return [failing(f"{url}/livez redirects elsewhere: vendors do not follow", remedy)]
    if status != 200 or not _ours(body):
        return [failing(f"{url}/livez is answered by something else (HTTP {status})", remedy)]
    if here:
        return [ok(f"{url} leads here; from this machine only, until PUBLIC_URL says otherwise")]
    return [ok(f"{url} leads to a gateway")]


def _ours(body: bytes) -> bool:
    try:
        return bool(msgspec.json.decode(body) == {"status": "ok"})
    except msgspec.DecodeError:
        return False
