"""The SMTP door of the gateway, a durable publish and nothing between: no parsing, no directory, no store."""

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path

import uvloop

from channels.api import Outcome, Receipt
from channels.email import CHANNEL
from channels.email.settings import EmailSettings
from channels.testing_host import FakeHost
from gateway.queue.connection.deployment import deployment
from gateway.queue.entry import Entry
from gateway.queue.keys import partitions
from gateway.queue.publisher import Publisher, publishing
from gateway.queue.spool.spool import SpoolLimits, open_spool
from normalizers.email import MailPayload


class Host(FakeHost):
    """Publishes what it is handed, whole."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__("support")
        self._publisher = publisher

    async def intake(self, payload: MailPayload, /) -> Receipt:
        content = payload.content or await asyncio.to_thread(Path(payload.file or "").read_bytes)
        mark = sha256(content).digest()[:16]
        entry = Entry(
            stream="free",
            mark=mark,
            fingerprint=b"",
            keep_ms=60_000,
            conversation=mark.hex(),
            size=len(content),
            fields=("id", mark.hex(), "event", content),
        )
        await self._publisher.publish(entry)
        return Receipt(outcome=Outcome.ACCEPTED)


async def main(port: int, redis: str) -> None:
    settings = EmailSettings.model_validate(
        {"type": "email", "listen": f"127.0.0.1:{port}", "recipients": ["support@example.com"]}
    )
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        spool = await stack.enter_async_context(
            open_spool(folder, partitions=1, limits=SpoolLimits(max_bytes=2**30, min_free=0))
        )
        publisher = await stack.enter_async_context(
            publishing(deployment(redis), partitions("door", 1), ("free",), spool, timeout=5.0)
        )
        await stack.enter_async_context(CHANNEL.adapter(settings, Host(publisher)).lifespan())
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2]))
