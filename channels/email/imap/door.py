"""The door of mail that is fetched: open beside the SMTP server, or in its place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from channels.api import Host
from channels.email.reception import Reception
from channels.email.smtp.mailboxes import Mailboxes
from channels.in_hand import DRAIN_SECONDS
from normalizers.email import MailPayload

if TYPE_CHECKING:
    from channels.email.settings import EmailSettings


@asynccontextmanager
async def polling(settings: "EmailSettings", host: Host[MailPayload], reception: Reception) -> AsyncIterator[None]:
    """Fetch while entered, if there is anything to fetch from; one process of the machine does."""
    if settings.imap is None:
        yield
        return
    # Only who fetches pays for the library.
    from channels.email.imap.delivery import Delivery
    from channels.email.imap.poller import Poller

    mailboxes = Mailboxes(settings.recipients)

    def ours(address: str) -> str | None:
        found = mailboxes.find(address)
        return found if isinstance(found, str) else None

    plain = (address for address in settings.recipients if "*" not in address)
    otherwise = next(plain, settings.imap.user.lower())
    delivery = Delivery(settings.imap, host, reception, find=ours, otherwise=otherwise)
    poller = Poller(settings.imap, host, delivery)

    async def alone() -> None:
        async with host.alone():
            await poller.run()

    task = asyncio.create_task(alone(), name=poller.name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await delivery.drain(DRAIN_SECONDS)
