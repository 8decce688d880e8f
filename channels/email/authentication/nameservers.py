"""Name servers, asked over the network (dnspython)."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver

from channels.email.authentication.resolver import Kind, Silent, Unanswered
from channels.email.authentication.settings import server_address

ONE_TRY: Final = 1.0
"""Seconds until the next name server is asked."""
ALL_TRIES: Final = 2.5
LARGEST: Final = 32 * 1024
"""Bytes of an answer over TCP; larger ones are none."""
MOST_RECORDS: Final = 100
PROBE_TIMEOUT: Final = 1.0


class Found(NamedTuple):
    """Records, and for how many seconds they may be kept; None: there are none."""

    records: tuple[str, ...]
    ttl: int | None


class Source(Protocol):
    """Who is asked what is not known yet."""

    async def fetch(self, name: str, kind: Kind) -> Found:
        """Raises Unanswered, `Silent` where nobody answered."""
        ...

    async def alive(self) -> bool:
        """Whether anybody answers, asked for what no sender has a hand in."""
        ...


class Nameservers:
    """Those named, or the machine's own."""

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._servers = servers
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def fetch(self, name: str, kind: Kind) -> Found:
        """Raises Unanswered, `Silent` where nobody answered."""
        try:
            asked = dns.name.from_text(name + ".")
        except (
            dns.exception.DNSException,
            UnicodeError,
        ):  # too long, say: strangers choose names, and none of them fails
            return Found((), None)
        try:
            answer = await self._made().resolve(asked, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return Found((), None)
        except (dns.resolver.LifetimeTimeout, dns.resolver.NoResolverConfiguration, OSError) as error:
            raise Silent from error
        except dns.resolver.NoNameservers as error:
            raise (Silent if _none_answered(error) else Unanswered) from error
        except dns.exception.DNSException as error:  # an answer that is none
            raise Unanswered from error
        records = [] if answer.rrset is None else list(answer.rrset)
        if len(records) > MOST_RECORDS:
            raise Unanswered
        if kind == "MX":
            records.sort(key=lambda record: record.preference)
        return Found(tuple(_text(record) for record in records), answer.rrset.ttl if answer.rrset else None)

    async def alive(self) -> bool:
        """Asks for the root's name servers, which every resolver knows."""
        try:
            await self._made().resolve(".", "NS", raise_on_no_answer=False, search=False, lifetime=PROBE_TIMEOUT)
        except dns.resolver.NoNameservers as error:
            return not _none_answered(error)
        except (dns.resolver.LifetimeTimeout, dns.resolver.NoResolverConfiguration, OSError):
            return False
        except dns.exception.DNSException:
            return True
        return True

    def _made(self) -> dns.asyncresolver.Resolver:
        """Raises NoResolverConfiguration."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            addresses = [server_address(server) for server in self._servers] or [
                (str(server), resolver.nameserver_ports.get(str(server), resolver.port))
                for server in resolver.nameservers
            ]
            resolver.nameservers = [_Server(host, port) for host, port in addresses]
            resolver.timeout, resolver.lifetime = ONE_TRY, ALL_TRIES
            resolver.use_edns(0, 0, 1232)  # what passes everywhere undivided: https://www.dnsflagday.net/2020/
            self._resolver = resolver
        return self._resolver


class _Server(dns.nameserver.Do53Nameserver):
    """Reading an answer of 64 KiB takes a third of a second: here it is bounded, and read in a thread."""

    async def async_query(
        self, request: dns.message.QueryMessage, timeout: float, *args: Any, **options: Any
    ) -> dns.message.Message:
        if not options.get("max_size"):
            return await super().async_query(request, timeout, *args, **options)
        try:
            async with asyncio.timeout(timeout):
                wire = await self._over_tcp(request.to_wire())
        except (TimeoutError, EOFError) as error:
            raise dns.exception.Timeout from error
        response = await asyncio.to_thread(dns.message.from_wire, wire)
        if not request.is_response(response):
            raise dns.exception.FormError
        return response

    async def _over_tcp(self, question: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            writer.write(len(question).to_bytes(2, "big") + question)
            length = int.from_bytes(await reader.readexactly(2), "big")
            if length > LARGEST:
                raise dns.exception.FormError
            return await reader.readexactly(length)
        finally:
            writer.close()


def _none_answered(error: dns.resolver.NoNameservers) -> bool:
    return all(response is None for *_, response in error.kwargs.get("errors", ()))


def _text(record: Any) -> str:
    match record.rdtype.name:
        case "TXT":
            return b"".join(record.strings).decode("latin-1")
        case "MX":
            return record.exchange.to_text(omit_final_dot=True).lower()  # type: ignore[no-any-return] # untyped
        case "PTR":
            return record.target.to_text(omit_final_dot=True).lower()  # type: ignore[no-any-return] # untyped
        case _:
            return str(record.address)
