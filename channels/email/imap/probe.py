"""A look at a mailbox from outside the gateway: can it be read at all."""

from channels.email.imap import mailbox
from channels.email.imap.connection import Connection
from channels.email.imap.settings import ImapSettings
from channels.email.imap.tokens import Tokens
from channels.email.imap.troubles import Refused


async def probe(settings: ImapSettings) -> list[str]:
    """Logs in, opens every folder for reading and leaves; the folders that cannot be. Raises MailboxError."""
    timeout = settings.timeout.total_seconds()
    token = await Tokens(settings.oauth2, timeout).get() if settings.oauth2 else None
    refused: list[str] = []
    async with mailbox.opened(settings, token, "imap-probe") as opened:
        for folder in settings.folders:
            try:
                await opened.call(Connection.examine, folder)
            except Refused:
                refused.append(folder)
    return refused
