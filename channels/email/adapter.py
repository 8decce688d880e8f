"""The email inbox: composes the doors its mail comes through."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp.web import RouteDef

from channels.api import Host
from channels.email.imap.door import polling
from channels.email.reception import Reception
from channels.email.settings import EmailSettings
from channels.email.smtp.desk import Taker
from channels.email.smtp.listener import Listener, Listeners
from channels.email.webhooks.doors import Webhooks
from normalizers.email import MailPayload


class EmailAdapter:
    """One inbox. Its SMTP server may be that of other inboxes, too."""

    def __init__(self, settings: EmailSettings, host: Host[MailPayload]) -> None:
        self._settings = settings
        self._host = host
        self._reception = Reception(settings, host)
        self._webhooks = Webhooks(settings, host, self._reception)
        self.listener = self._join() if settings.endpoint else None
        """None where no mail comes by SMTP."""

    @property
    def address(self) -> tuple[str, int]:
        """Where its SMTP server listens, once the lifespan is entered."""
        assert self.listener is not None
        return self.listener.address

    def routes(self) -> Sequence[RouteDef]:
        """Those of the providers that post mail."""
        return self._webhooks.routes()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Raises OSError in an operator's words where it cannot listen."""
        if self.listener is not None:
            await self.listener.open()
        try:
            async with polling(self._settings, self._host, self._reception), self._webhooks.opened():
                yield
        finally:
            if self.listener is not None:
                await self.listener.close()

    def _join(self) -> Listener:
        settings, host = self._settings, self._host
        assert settings.endpoint is not None
        taker = Taker(inbox=host.inbox, settings=settings, take=self._reception.take, refused=host.refused)
        listeners = host.shared(Listeners)
        return listeners.join(taker, settings.endpoint, scratch=host.scratch, shared_port=host.shared_port)
