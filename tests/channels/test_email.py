"""The email channel keeps the adapter's promises."""

from email.message import EmailMessage

import aiosmtplib

from channels.api import Outcome
from channels.email import CHANNEL
from channels.email.adapter import EmailAdapter
from channels.email.settings import EmailSettings
from channels.testing import TEXT, AdapterContract, Door


class TestEmail(AdapterContract):
    channel = CHANNEL
    # A mail nobody can read is kept, not bounced: its sender could not mend it.
    answers = {Outcome.ACCEPTED: "250", Outcome.REJECTED: "250", Outcome.DEFERRED: "451"}  # noqa: RUF012
    forged_answer = "550"
    oversized_answer = "552"

    def settings(self) -> EmailSettings:
        return EmailSettings(type="email", listen="127.0.0.1:0", recipients=("support@example.com",), max_size=100_000)

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        mail = EmailMessage()
        mail["From"], mail["To"] = "Customer <customer@acme.example>", "support@example.com"
        mail["Subject"], mail["Message-ID"] = "결제 오류", f"<{key}@acme.example>"
        mail.set_content(text)
        return await self._send(door, bytes(mail), "support@example.com")

    async def deliver_forged(self, door: Door) -> str:
        return await self._send(door, b"Subject: not for us\r\n\r\n", "customer@elsewhere.example")

    async def deliver_oversized(self, door: Door) -> str:
        return await self._send(door, b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 50_000, "support@example.com")

    async def _send(self, door: Door, content: bytes, to: str) -> str:
        assert isinstance(door.adapter, EmailAdapter)
        host, port = door.adapter.address
        client = aiosmtplib.SMTP(hostname=host, port=port, timeout=10)
        try:
            await client.connect()
            await client.ehlo()
            await client.mail("customer@acme.example")
            await client.rcpt(to)
            return str((await client.data(content)).code)
        except aiosmtplib.SMTPConnectError as error:
            raise ConnectionRefusedError from error
        except aiosmtplib.SMTPResponseException as error:
            return str(error.code)
        finally:
            client.close()  # no QUIT: a sender who is cancelled hangs up
