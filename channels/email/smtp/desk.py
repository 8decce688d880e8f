"""What the sessions of one listener share."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from aiosmtpd.smtp import SMTP

from channels.api import Receipt, Refusal
from channels.email.arrival import Arrival
from channels.email.settings import EmailSettings
from channels.email.smtp import replies
from channels.email.smtp.admission import Admission
from channels.email.smtp.certificate import Certificate
from channels.email.smtp.mailboxes import Sorting
from channels.email.smtp.proxied import Balancers
from channels.email.smtp.rates import Rates
from channels.email.smtp.room import Room

SPARE_COMMANDS: Final = 100
"""Commands between two messages, beyond two for each recipient allowed."""


class Sitting(Protocol):
    """A session, as far as its listener has to do with it."""

    @property
    def task(self) -> "asyncio.Task[None]":
        """Ends with the session."""
        ...

    def dismiss(self) -> None:
        """Shutting down: over now if between two commands, else the session sees to it itself."""
        ...

    def abort(self) -> None:
        """Over, whatever it is doing."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Taker:
    """An inbox behind the desk."""

    inbox: str
    settings: EmailSettings
    take: Callable[[Arrival], Awaitable[Receipt]]
    refused: Callable[[Refusal, str], None]


@dataclass(eq=False, kw_only=True)
class Desk:
    """Made in the running event loop; `closing` turns away whoever comes."""

    takers: Sequence[Taker]
    """At least one; refusals are those of the first."""
    mailboxes: Sorting[Taker]
    settings: EmailSettings
    """What they agree on."""
    deliver: Callable[[Arrival, Callable[[], None]], Awaitable[bytes]]
    """Hands a message on and says the reply; finishes though its caller is cancelled.

    Calls the second argument when the message is in hand no longer, which may be long after the reply.
    """
    scratch: Path
    """Where a mail is kept that is too large for memory, while it arrives and is taken in."""
    certificate: Certificate | None = None
    closing: bool = False
    sessions: set[Sitting] = field(default_factory=set)

    def __post_init__(self) -> None:
        settings = self.settings
        self.inbox = self.takers[0].inbox
        self.refused = self.takers[0].refused
        self.balancers = Balancers(settings.proxy_protocol_from)
        self.admission = Admission(
            connections=settings.max_connections,
            per_peer=settings.max_connections_per_peer,
        )
        self.rates = Rates(settings.max_rate)
        self.memory = Room(settings.max_memory)
        self.disk = Room(settings.max_scratch)
        self.idle_timeout = settings.idle_timeout.total_seconds()
        self.error_delay = settings.error_delay.total_seconds()
        self.max_commands = 2 * settings.max_recipients + SPARE_COMMANDS
        mode = settings.tls.mode if settings.tls else None
        self.tls_first = mode == "implicit"
        self.tls_required = mode == "required"
        self.greeting = replies.greeting(settings.hostname)
        self.hello = replies.hello(settings.hostname)
        self._extended = replies.extended_hello(settings.hostname, settings.max_size, tls=mode is not None)
        self._extended_secure = replies.extended_hello(settings.hostname, settings.max_size, tls=False)
        # aiosmtpd looks through all its own members on every connection: a quarter of a short session.
        # Here that is done once, and each session starts from a copy of what it found.
        self.prototype: dict[str, Any] = vars(SMTP(None, hostname=settings.hostname, loop=asyncio.get_running_loop()))

    def extended_hello(self, *, secure: bool) -> bytes:
        """To EHLO: STARTTLS is offered where there is a certificate, and once."""
        return self._extended_secure if secure else self._extended
