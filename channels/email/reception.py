"""The one way every mail takes, whatever door it came in by."""

import asyncio
from pathlib import Path

from channels.api import Host, Receipt
from channels.email.arrival import Arrival
from channels.email.authentication.checks import Checks
from channels.email.authentication.means import Means
from channels.email.reply_tokens import HEADER, ReplyTokens
from channels.email.settings import EmailSettings
from channels.email.smtp.mailboxes import ANY
from normalizers.email import MailPayload


class Reception:
    """Checks who sent a mail and hands it to the gateway."""

    def __init__(self, settings: EmailSettings, host: Host[MailPayload]) -> None:
        self._host = host
        self._checks = Checks(settings.authentication, host.shared(Means))
        self._ours = tuple(address for address in settings.recipients if ANY not in address)
        self._tokens = ReplyTokens(settings.reply_tokens, host.inbox)

    async def take(self, arrival: Arrival) -> Receipt:
        """Never raises (but when cancelled): what cannot be checked is taken unchecked."""
        authentication = await self._checks.examine(arrival)
        answers: str | None = None
        tokens: tuple[str, ...] = ()
        if self._tokens.minted:
            head = arrival.content[:HEADER] if arrival.file is None else await asyncio.to_thread(_head, arrival.file)
            answers, tokens = self._tokens.find(arrival.recipients, head)
        return await self._host.intake(
            MailPayload(
                content=arrival.content,
                file=str(arrival.file) if arrival.file else None,
                medium=arrival.medium,
                mail_from=arrival.mail_from,
                null_sender=arrival.null_sender,
                recipients=arrival.recipients,
                ours=self._ours,
                authentication=authentication,
                answers=answers,
                tokens=tokens,
            )
        )


def _head(file: Path) -> bytes:
    """Nothing where it cannot be read: whoever reads the whole of it will say so."""
    try:
        with file.open("rb") as mail:
            return mail.read(HEADER)
    except OSError:
        return b""
