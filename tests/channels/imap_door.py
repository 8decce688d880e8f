"""An inbox that fetches, before a fake gateway."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from channels.api import Outcome, Receipt
from channels.email.imap.door import polling
from channels.email.reception import Reception
from channels.email.settings import EmailSettings
from channels.testing_host import FakeHost
from normalizers.email import MailPayload
from tests.support import until


class FetchingHost(FakeHost):
    """Remembers the mails themselves, also those that come as a file; `outcomes` are the next answers."""

    def __init__(self, scratch: Path) -> None:
        super().__init__("support")
        self.scratch = scratch
        self.contents: list[bytes] = []
        self.outcomes: list[Outcome] = []
        self.tried = 0

    async def intake(self, payload: MailPayload, /) -> Receipt:
        self.tried += 1
        if self.outcomes and (outcome := self.outcomes.pop(0)) is not Outcome.ACCEPTED:
            return Receipt(outcome=outcome)
        receipt = await super().intake(payload)
        self.contents.append(Path(payload.file).read_bytes() if payload.file else payload.content)
        return receipt

    async def has(self, count: int) -> Sequence[bytes]:
        """The contents, as soon as there are so many."""
        await until(lambda: len(self.contents) >= count, within=20)
        return self.contents


def email_settings(imap: dict[str, Any]) -> EmailSettings:
    recipients = ["support@example.com", "billing@example.com"]
    return EmailSettings.model_validate({"type": "email", "recipients": recipients, "imap": imap})


@asynccontextmanager
async def fetching(gateway: FakeHost, /, **imap: Any) -> AsyncIterator[None]:
    settings = email_settings(imap)
    async with polling(settings, gateway, Reception(settings, gateway)):
        yield


def mail(number: int, text: str = "hello", *, to: str = "support@example.com", more: str = "") -> bytes:
    head = f"From: a@b.example\r\nTo: {to}\r\nSubject: {number}\r\nMessage-ID: <{number}@b.example>\r\n{more}"
    return f"{head}\r\n{text}\r\n".encode()
