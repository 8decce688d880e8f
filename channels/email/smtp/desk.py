"""What the sessions of one listener share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiosmtpd.smtp import SMTP

from channels.api import Refusal
from channels.email.arrival import Arrival
from channels.email.settings import EmailSettings
from channels.email.smtp import replies
from channels.email.smtp.admission import Admission
from channels.email.smtp.mailboxes import Mailboxes

if TYPE_CHECKING:
    from channels.email.smtp.connection import SmtpConnection

SPARE_COMMANDS: Final = 100
"""Commands between two messages, beyond two for each recipient allowed."""


@dataclass(eq=False, kw_only=True)
class Desk:
    """Made in the running event loop; `closing` turns away whoever comes."""

    inbox: str
    settings: EmailSettings
    deliver: Callable[[Arrival, Callable[[], None]], Awaitable[bytes]]
    """Hands a message on and says the reply; finishes though its caller is cancelled.

    Calls the second argument when the message is in hand no longer, which may be long after the reply.
    """
    refused: Callable[[Refusal, str], None]
    closing: bool = False
    sessions: "set[SmtpConnection]" = field(default_factory=set)

    def __post_init__(self) -> None:
        settings = self.settings
        self.mailboxes = Mailboxes(settings.recipients)
        self.admission = Admission(
            connections=settings.max_connections,
            per_peer=settings.max_connections_per_peer,
            memory=settings.max_memory,
        )
        self.idle_timeout = settings.idle_timeout.total_seconds()
        self.max_commands = 2 * settings.max_recipients + SPARE_COMMANDS
        self.greeting = replies.greeting(settings.hostname)
        self.hello = replies.hello(settings.hostname)
        self.extended_hello = replies.extended_hello(settings.hostname, settings.max_size)
        # aiosmtpd looks through all its own members on every connection: a quarter of a short session.
        # Here that is done once, and each session starts from a copy of what it found.
        self.prototype: dict[str, Any] = vars(SMTP(None, hostname=settings.hostname, loop=asyncio.get_running_loop()))
