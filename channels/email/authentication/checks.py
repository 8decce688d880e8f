"""All that can be found out about the sender of a mail."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog
from msgspec.structs import replace

from channels.email.arrival import Arrival
from channels.email.authentication import dkim_check, dmarc, results, spf_check
from channels.email.authentication.dkim_check import Signature
from channels.email.authentication.means import Means
from channels.email.authentication.names import dns_name, public_suffixes
from channels.email.authentication.peers import Peers
from channels.email.authentication.reading import Reading, opened, read, read_file
from channels.email.authentication.resolver import Resolver, Unanswered
from channels.email.authentication.settings import AuthenticationSettings
from normalizers.mailed import Authentication, Dkim, Dmarc, Spf

OURSELVES: Final = "gateway"
KEYS_SHARE: Final = 0.6
"""Of the time for a mail, that keys are waited for: no key that never comes leaves the others unused."""
MOST_AT_ONCE: Final = 16 * 1024
"""Bytes of a mail whose header is read without a thread: it may be nothing but a From that takes long to read."""
_THROUGH_THE_FRONT: Final = ("smtp", "imap")
"""Doors behind the server in front. A provider that posts mail is another, and leaves in what bears its id."""

T = TypeVar("T")

log = structlog.get_logger()


class Checks:
    """The checks of one inbox."""

    def __init__(
        self, settings: AuthenticationSettings, means: Means | None = None, resolver: Resolver | None = None
    ) -> None:
        self._settings = settings
        self._peers = Peers(settings)
        self._timeout = settings.timeout.total_seconds()
        means = means or Means()
        self._threads = means.threads
        self._resolver = resolver or means.resolver(settings.resolvers)

    async def examine(self, arrival: Arrival) -> Authentication | None:
        """Never raises; what cannot be found out in time is a `temperror`. None where there was nothing to ask."""
        if self._settings.check == "off":
            return None
        try:
            return await self._examine(arrival, asyncio.get_running_loop().time() + self._timeout)
        except Exception as error:  # of a kind nobody foresaw: no mail is lost by it, and its sender stays a claim
            log.warning("mail.unchecked", error=type(error).__name__)
            return None

    async def _examine(self, arrival: Arrival, deadline: float) -> Authentication | None:
        peer = self._peers.sender(arrival.peer)
        in_front = self._settings.authserv_id if arrival.medium in _THROUGH_THE_FRONT else None
        if in_front is not None and arrival.authentication is None and peer is not None:
            return None  # it did not come through the server in front, whatever its header says
        if peer is None and in_front is None and arrival.authentication is None and _unsigned(arrival):
            return None
        reading = await self._read(arrival)
        if reading.nameless:
            reading = replace(reading, author=dns_name(arrival.mail_from.strip("<> ").rpartition("@")[2]))
        if arrival.authentication is not None:
            return await self._weighed(arrival.authentication, reading.author, deadline)
        if in_front is not None:
            found = results.of_server(reading.results, in_front)
            return None if found is None else await self._weighed(found, reading.author, deadline)
        sender = spf_check.sender(peer, arrival.mail_from, arrival.helo) if peer else None
        wanted, spoilt = dkim_check.signatures(reading) if reading.signatures else ([], [])
        if peer is None and not wanted and not spoilt:
            return None
        await self._suffixes()
        spf, signed, policy = await asyncio.gather(
            self._spf(sender, deadline), self._dkim(arrival, reading, wanted, deadline), self._policy(reading, deadline)
        )
        if peer is not None and spf is None:
            spf = Spf(result="none")
        return _judged(reading.author, policy, OURSELVES, spf, [*signed, *spoilt])

    async def _read(self, arrival: Arrival) -> Reading:
        if arrival.file is not None:
            return await self._run(lambda: read_file(arrival))
        if len(arrival.content) > MOST_AT_ONCE:
            return await self._run(lambda: read(arrival.content))
        return read(arrival.content)

    async def _spf(self, sender: spf_check.Sender | None, deadline: float) -> Spf | None:
        if sender is None:
            return None
        late = sender.found("temperror")
        return await _by(deadline, spf_check.check(sender, self._resolver, self._run), late)

    async def _dkim(
        self, arrival: Arrival, reading: Reading, wanted: Sequence[Signature], deadline: float
    ) -> list[Dkim]:
        if not wanted:
            return []
        keys_by = deadline - (1 - KEYS_SHARE) * self._timeout
        names = list({one.key_name for one in wanted})
        found = await asyncio.gather(*(_by(keys_by, self._resolver.ask(name, "TXT"), None) for name in names))
        keys = {name: records for name, records in zip(names, found, strict=True) if records is not None}
        asked = [one for one in wanted if one.key_name in keys]
        late = [one.found("temperror") for one in asked]
        told = [one.found("temperror") for one in wanted if one.key_name not in keys]
        if not any(keys.values()):
            return [*(one.found("permerror") for one in asked), *told]

        def check() -> list[Dkim]:
            with opened(arrival) as content:
                return dkim_check.check(content, reading, asked, keys)

        return [*await _by(deadline, self._run(check), late), *told]

    async def _policy(self, reading: Reading, deadline: float) -> dmarc.Policy:
        if reading.author is None:
            return dmarc.NONE
        return await _by(deadline, dmarc.look_up(reading.author, self._resolver), dmarc.UNKNOWN)

    async def _weighed(self, found: Authentication, author: str | None, deadline: float) -> Authentication:
        """What others found, aligned by us with the From header that we read; DMARC where they say nothing of it."""
        await self._suffixes()
        stated = found.dmarc
        if stated is not None and (author is None or dns_name(stated.domain or "") != author):
            stated = None  # they read another author than we do, or do not say which
        if author is None:
            return _judged(None, dmarc.NONE, found.source, found.spf, found.dkim)
        if stated is not None and (stated.result != "fail" or stated.policy is not None):
            doubtful = stated.result in ("temperror", "permerror")
            spf, signed = dmarc.align(author, dmarc.UNKNOWN if doubtful else dmarc.NONE, found.spf, found.dkim)
            return Authentication(source=found.source, spf=spf, dkim=signed, dmarc=stated)
        policy = await _by(deadline, dmarc.look_up(author, self._resolver), dmarc.UNKNOWN)
        judged = _judged(author, policy, found.source, found.spf, found.dkim)
        if stated is not None:
            judged = replace(judged, dmarc=Dmarc(result="fail", domain=author, policy=policy.published))
        elif judged.dmarc is not None and judged.dmarc.result == "fail" and not (found.spf and found.dkim):
            judged = replace(judged, dmarc=None)  # what they do not tell of may have passed
        return judged

    async def _suffixes(self) -> None:
        """Reading their list takes long, the first time."""
        if not public_suffixes.cache_info().currsize:
            await self._run(public_suffixes)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _judged(
    author: str | None, policy: dmarc.Policy, source: str, spf: Spf | None, dkim: Sequence[Dkim]
) -> Authentication:
    spf, signed = dmarc.align(author, policy, spf, dkim)
    verdict = dmarc.evaluate(author, policy, spf, signed) if author else None
    return Authentication(source=source, spf=spf, dkim=signed, dmarc=verdict)


async def _by(deadline: float, work: Awaitable[T], late: T) -> T:
    """`late` where it is not done by then, where the DNS does not say, and where it fails in a way nobody foresaw."""
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except (TimeoutError, Unanswered):
        return late
    except Exception as error:  # one check with a bug must not take the others with it
        log.warning("mail.unchecked", error=type(error).__name__)
        return late


def _unsigned(arrival: Arrival) -> bool:
    """Of most mail a relay hands over this is all there is to know, and it costs no reading of its header."""
    return arrival.file is None and b"dkim-signature" not in arrival.content.lower()
