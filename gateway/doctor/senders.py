"""The checking of senders: does the DNS answer it, and can nobody forge what it relies on."""

import asyncio
from collections.abc import Sequence

from channels.email.authentication.nameservers import Nameservers
from channels.email.settings import EmailSettings
from gateway.doctor import Finding, ok, warning
from gateway.settings import Settings, development

WITHIN = 4.0
"""Seconds; who does not answer is given up after one."""


async def check(settings: Settings) -> Sequence[Finding]:
    """Asks each set of name servers for what every one of them knows."""
    inboxes = {
        name: inbox for name, inbox in settings.channels.items() if inbox.enabled and isinstance(inbox, EmailSettings)
    }
    checked = {name: inbox for name, inbox in inboxes.items() if inbox.authentication.check == "on"}
    found = [_off(name) for name in inboxes if name not in checked]
    found += [_in_front(name, inbox) for name, inbox in checked.items() if inbox.authentication.authserv_id]
    servers = {inbox.authentication.resolvers for inbox in checked.values()}
    found += await asyncio.gather(*(_dns(addresses) for addresses in sorted(servers)))
    return found or [ok("no inbox takes mail")]


async def _dns(servers: tuple[str, ...]) -> Finding:
    whose = ", ".join(servers) or "the machine's name servers"
    if await Nameservers(servers).alive():
        return ok(f"the DNS answers ({whose}): senders of mail can be checked")
    remedy = "name servers that answer, under authentication: resolvers: until then no sender of mail is verified"
    return warning(f"the DNS does not answer ({whose})", remedy)


def _off(name: str) -> Finding:
    remedy = "set authentication: check: on, or see that nobody relies on who wrote"
    return warning(f"inbox {name} does not check who sends: every sender is a claim", remedy)


def _in_front(name: str, inbox: EmailSettings) -> Finding:
    authentication = inbox.authentication
    what = f"inbox {name} believes {authentication.authserv_id}"
    host = (inbox.listen or "").rpartition(":")[0]
    if authentication.trusted_peers or not host or development.is_loopback(host):
        return ok(f"{what} about senders")
    remedy = (
        "list its address under authentication: trusted_peers, unless it has a private one: others are not believed"
    )
    return warning(f"{what} about senders, and it is not said where that is", remedy)
