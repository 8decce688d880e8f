"""Who takes the writes, as sentinels or the nodes of a cluster say it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot
from redis.exceptions import RedisError

from gateway.queue.connection.addresses import Address, Node
from gateway.queue.connection.answers import word
from gateway.queue.entry import QueueUnavailable

_STAGGER = 0.05
"""Seconds one node of a cluster may think before the next is asked as well."""

_Slots = Sequence[tuple[range, Node]]


class Clients(Protocol):
    """Makes a client of one server; `instead` are other arguments than the URL's."""

    def __call__(self, node: Node, **instead: Any) -> Redis: ...


class Sentinels:
    """redis+sentinel://user:password@host1,host2:26379/master/0?sentinel_username=…&sentinel_password=…"""

    def __init__(self, address: Address, clients: Clients, *, timeout: float) -> None:
        self._master, self._timeout = address.master, timeout
        login = {"username": None, "password": None, **address.sentinel_login}
        self._sentinels = [clients(node, **login, db=0, client_name=None) for node in address.nodes]
        self._servers = _Servers(clients)
        self._found: Node | None = None
        self._finding = asyncio.Lock()

    async def server(self, key: str) -> Redis:
        """A client of the master."""
        async with self._finding:
            if self._found is None:
                self._found = await self._find()
        return self._servers.client(self._found)

    async def moved(self) -> None:
        """Ask the sentinels again."""
        self._found = None
        await self._servers.rest()

    async def close(self) -> None:
        """Close every connection."""
        await self._servers.close()

    async def _find(self) -> Node:
        # All at once: a dead machine often takes its sentinel along. What most of all say counts, and not what most of
        # those say that answer: we may be cut off with the old master and the one sentinel that knows no better.
        said: Counter[Node] = Counter()
        why, needed = "no sentinel knows the master", len(self._sentinels) // 2 + 1
        asked = [lambda one=one: _master(one, self._master) for one in self._sentinels]
        async with aclosing(_answers(asked, within=self._timeout / 2)) as answers:
            async for answer in answers:
                if isinstance(answer, Exception):
                    why = word(answer)
                elif answer is not None:
                    said[answer] += 1
                    if said[answer] == needed:
                        return answer  # type: ignore[no-any-return]  # of answers of any kind
        if said:
            most = max(said.values())
            why = f"{most} of {len(self._sentinels)} sentinels agree on the master, {needed} are needed"
        raise QueueUnavailable(why)


class Cluster:
    """redis+cluster://user:password@host1:7000,host2:7001"""

    def __init__(self, address: Address, clients: Clients, *, timeout: float) -> None:
        self._seeds = self._known = address.nodes
        self._timeout = timeout
        self._servers = _Servers(clients)
        self._slots: _Slots | None = None
        self._finding = asyncio.Lock()

    async def server(self, key: str) -> Redis:
        """A client of the node that has the slot of `key`."""
        slot = key_slot(key.encode())
        async with self._finding:
            if self._slots is None:
                self._slots = await self._find(slot)
            slots = self._slots
        for served, node in slots:
            if slot in served:
                return self._servers.client(node)
        raise QueueUnavailable("no node serves this slot")

    async def moved(self) -> None:
        """Ask the nodes again, another one first: this one may have been taken out of the cluster."""
        self._slots = None
        self._known = (*self._known[1:], *self._known[:1])
        await self._servers.rest()

    async def close(self) -> None:
        """Close every connection."""
        await self._servers.close()

    async def _find(self, slot: int) -> _Slots:
        why = "no node serves this slot"
        asked = [lambda node=node: _slots(self._servers.client(node), node) for node in self._known]
        async with aclosing(_answers(asked, within=self._timeout / 2, stagger=_STAGGER)) as answers:
            async for answer in answers:
                if isinstance(answer, Exception):
                    why = word(answer)
                elif any(slot in served for served, _ in answer):
                    # The nodes of the URL may all be gone one day, the others too.
                    self._known = tuple(dict.fromkeys((*(node for _, node in answer), *self._seeds)))
                    return cast("_Slots", answer)
        raise QueueUnavailable(why)


class _Servers:
    """One client for each server that was ever named: whoever still uses an old one keeps it."""

    def __init__(self, clients: Clients) -> None:
        self._make = clients
        self._clients: dict[Node, Redis] = {}

    def client(self, node: Node) -> Redis:
        if node not in self._clients:
            self._clients[node] = self._make(node)
        return self._clients[node]

    async def rest(self) -> None:
        """Close what is idle."""
        for client in tuple(self._clients.values()):  # others may come while one is waited for
            await client.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        for client in tuple(self._clients.values()):
            await client.aclose()


async def _answers(
    asked: Sequence[Callable[[], Awaitable[Any]]], *, within: float, stagger: float = 0.0
) -> AsyncGenerator[Any, None]:
    """Each answer, or the error instead, as it comes; those after `within` seconds do not come any more.

    With a `stagger` the next is asked only when those before have failed or have had so many seconds.
    """
    waiting, running = list(asked), set[asyncio.Task[Any]]()
    ends = asyncio.get_running_loop().time() + within
    try:
        while waiting or running:
            for ask in waiting[: 1 if stagger else None]:
                running.add(asyncio.ensure_future(ask()))
                waiting.remove(ask)
            left = ends - asyncio.get_running_loop().time()
            if left <= 0:
                yield TimeoutError()
                return
            patience = min(left, stagger) if waiting else left
            done, running = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is not None and not isinstance(error, (RedisError, OSError, TimeoutError)):
                    raise error
                yield error or task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _ask(client: Redis, *command: str) -> Any:
    """On a connection of its own that nobody waits for."""
    connection: AbstractConnection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # the client's own gap
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # again
        await connection.send_command(*command)
        return await connection.read_response(disable_decoding=True)
    finally:
        await connection.disconnect(nowait=True)


async def _master(sentinel: Redis, name: str) -> Node | None:
    found = await _ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    return (found[0].decode(), int(found[1])) if found else None


async def _slots(client: Redis, node: Node) -> _Slots:
    """Ranges of slots and who serves them; a node that does not say its own name is the one that was asked."""
    slots = []
    for first, last, (host, port, *_), *_ in await _ask(client, "CLUSTER", "SLOTS"):
        if host != b"?":  # it has a name, and does not know it
            slots.append((range(first, last + 1), ((host or node[0].encode()).decode(), int(port))))
    return slots
