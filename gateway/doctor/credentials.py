"""The credentials: which inboxes stand open to whoever has read the source."""

from collections.abc import Sequence

from channels import registry
from gateway.doctor import Finding, ok, warning
from gateway.settings import Settings, development


async def check(settings: Settings) -> Sequence[Finding]:
    """Looks at the settings alone: a secret is right when its vendor's first message is."""
    found: list[Finding] = []
    for name, inbox in settings.channels.items():
        if not inbox.enabled:
            found.append(ok(f"{name} ({inbox.type}) is switched off"))
        elif registry.is_planned(inbox.type):
            found.append(warning(f"{name} ({inbox.type}) is not in use yet", "wait for a later version"))
        elif keys := [".".join(map(str, path[2:])) for path in development.find(inbox, ("channels", name))]:
            what = f"{name} ({inbox.type}) has a development secret everybody knows: {', '.join(keys)}"
            remedy = "set your own before anybody but you reaches the gateway, or switch the inbox off"
            found.append(warning(what, remedy))
    if not any(inbox.enabled for inbox in settings.channels.values()):
        found.append(warning("no inbox is switched on: nothing can arrive", "name one under channels"))
    return found or [ok("no inbox has a secret that everybody knows")]
