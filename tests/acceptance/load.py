"""Clients that never give up, and the ledger of what they were promised against what arrived."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import cast

import aiohttp
import aiosmtplib
from redis import Redis
from redis.exceptions import RedisError

from gateway.queue.keys import partitions
from tests.support import until

TIERS = ("premium", "business", "free")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_AGAIN = 0.02
_PATIENCE = 10.0


class Ledger:
    """Ids the gateway said yes to, and how often it was asked; a message it never answered is not owed."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.deferred = 0
        self.broken = 0
        self.open = 0
        """Messages whose sender still tries."""

    def compare(self, redis: Redis, *, spread: int = 1) -> None:
        """Raise AssertionError unless every accepted id arrived, nothing arrived twice, and nothing else did."""
        arrived: Counter[str] = Counter(fields(redis, "id", spread))
        twice = [id for id, times in arrived.items() if times > 1]
        lost = set(self.accepted) - set(arrived)
        strange = set(arrived) - set(self.accepted)
        assert not lost, f"{len(lost)} of {len(self.accepted)} accepted never arrived"
        assert not twice, f"{len(twice)} of {len(arrived)} arrived more than once"
        assert not strange, f"{len(strange)} arrived that nobody was promised"


def fields(redis: Redis, name: str, spread: int = 1) -> Iterable[str]:
    """That field of every entry on every tier's stream."""
    for keys in partitions("tickets", spread):
        for tier in TIERS:
            for _, entry in cast("list[tuple[str, dict[str, str]]]", redis.xrange(keys.stream(tier))):
                yield entry[name]


def all_there(redis: Redis, ledger: Ledger, *, spread: int = 1) -> bool:
    """Whether everything accepted has arrived by now."""
    try:
        return set(ledger.accepted) <= set(fields(redis, "id", spread))
    except (RedisError, OSError):
        return False


class Load:
    """Mixed HTTP and SMTP senders; each sends one message after another, again and again until it hears yes."""

    def __init__(self, http: str, smtp: int, *, name: str = "load") -> None:
        self.ledger = Ledger()
        self._http, self._smtp, self._name = http, smtp, name
        self._numbers = count()
        self._stopping = False

    @asynccontextmanager
    async def running(self, *, forms: int = 8, mails: int = 3) -> AsyncIterator["Load"]:
        """Send while entered; leaving it waits until every message that was begun has been accepted."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE)) as session:
            senders = [asyncio.create_task(self._forms(session)) for _ in range(forms)]
            senders += [asyncio.create_task(self._mails()) for _ in range(mails)]
            try:
                yield self
            finally:
                self._stopping = True
                async with asyncio.timeout(60):
                    await asyncio.gather(*senders)

    async def more(self, messages: int, *, within: float = 60.0) -> None:
        """Return once so many more have been accepted."""
        goal = len(self.ledger.accepted) + messages
        await until(lambda: len(self.ledger.accepted) >= goal, within=within)

    async def _forms(self, session: aiohttp.ClientSession) -> None:
        while not self._stopping:
            number = next(self._numbers)
            body = {"name": "김민수", "email": f"c{number % 50}@acme.example", "message": f"{self._name} {number}"}
            await self._until_yes(self._post, session, f"{self._name}-{number}", body)

    async def _mails(self) -> None:
        while not self._stopping:
            number = next(self._numbers)
            mail = (
                f"From: c{number % 50}@beta.example\r\nTo: support@example.com\r\nSubject: {self._name} {number}\r\n"
                f"Message-ID: <{self._name}.{number}@load.example>\r\n\r\nHello.\r\n"
            )
            await self._until_yes(self._send, mail.encode())

    async def _until_yes(self, attempt: Callable[..., Awaitable[str | None]], *arguments: object) -> None:
        self.ledger.open += 1
        while True:
            try:
                id = await attempt(*arguments)
            except (aiohttp.ClientError, aiosmtplib.SMTPException, OSError, TimeoutError):
                self.ledger.broken += 1
                id = None
            if id:
                self.ledger.accepted[id] += 1
                self.ledger.open -= 1
                return
            await asyncio.sleep(_AGAIN)

    async def _post(self, session: aiohttp.ClientSession, key: str, body: dict[str, str]) -> str | None:
        async with session.post(
            f"{self._http}/channels/contact", json=body, headers={"Idempotency-Key": key}
        ) as answer:
            if answer.status == 202:
                return str((await answer.json())["id"])
            assert answer.status == 503, f"a good message was answered {answer.status}"
            self.ledger.deferred += 1
            return None

    async def _send(self, mail: bytes) -> str | None:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self._smtp, timeout=_PATIENCE, start_tls=False)
        async with client:
            try:
                _, said = await client.sendmail("c@beta.example", "support@example.com", mail)
            except aiosmtplib.SMTPResponseException as error:
                if error.code not in (421, 451):
                    raise AssertionError(f"a good mail was answered {error.code} {error.message}") from error
                self.ledger.deferred += 1
                return None
            found = _ID.search(said)
            assert found, f"no id in {said}"
            return found[0]
