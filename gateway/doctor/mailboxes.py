"""The mailboxes that are fetched from: do they let us in."""

import asyncio
from collections.abc import Sequence

from channels.email.settings import EmailSettings
from gateway.doctor import Finding, failing, ok
from gateway.settings import Settings

WITHIN = 15.0
"""A login may be held back for seconds, and every folder is opened."""
_PATIENCE = 10.0
_LOGIN = (
    "set the password or the OAuth 2 credentials anew; many providers want a password for this one program, "
    "and IMAP switched on for the mailbox"
)
_LINK = "see host, port and tls, and whether this machine may go there"
_FOLDER = "name it as the server does, or make it"


async def check(settings: Settings) -> Sequence[Finding]:
    """Logs in to each and opens its folders; nothing in them is read or changed."""
    inboxes = [
        (name, inbox)
        for name, inbox in settings.channels.items()
        if inbox.enabled and isinstance(inbox, EmailSettings) and inbox.imap is not None
    ]
    if not inboxes:
        return [ok("no inbox fetches its mail")]
    found = await asyncio.gather(*(_look(name, inbox) for name, inbox in inboxes))
    return [finding for of_one in found for finding in of_one]


async def _look(name: str, inbox: EmailSettings) -> list[Finding]:
    # Only where there is a mailbox to look at: the library takes its time to load.
    from channels.email.imap.probe import probe
    from channels.email.imap.troubles import LoginRefused, MailboxError

    assert inbox.imap is not None
    what = f"the mailbox of inbox {name} at {inbox.imap.host}"
    try:
        async with asyncio.timeout(_PATIENCE):
            refused = await probe(inbox.imap)
    except LoginRefused as error:
        return [failing(f"{what}: {error.word}", _LOGIN)]
    except MailboxError as error:
        return [failing(f"{what}: {error.word}", _LINK)]
    except TimeoutError:
        return [failing(f"{what}: no answer within {_PATIENCE:g} s", _LINK)]
    if refused:
        return [failing(f"{what} has no folder {folder!r} that can be read", _FOLDER) for folder in refused]
    return [ok(f"{what} can be read")]
