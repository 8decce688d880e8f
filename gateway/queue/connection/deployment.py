"""Which server takes the writes of a key: one server, the master sentinels name, or a node of a cluster."""

import os
import ssl
from typing import Any, Protocol

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.queue.connection.addresses import Address, Node, mask, parse
from gateway.queue.connection.topology import Cluster, Sentinels
from gateway.queue.entry import QueueUnavailable

__all__ = ["Deployment", "QueueUnavailable", "check_url", "deployment", "mask"]

_TLS_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


class Deployment(Protocol):
    """The Redis of one URL. Connects lazily."""

    async def server(self, key: str) -> Redis:
        """A client of the server that takes writes of `key`; kept by the deployment. Raises QueueUnavailable."""
        ...

    async def moved(self) -> None:
        """Forget who serves what: a write failed, or was sent elsewhere."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


def deployment(url: str, *, timeout: float = 1.0) -> Deployment:
    """The deployment of a URL; `timeout` in seconds bounds connecting and every answer.

    Raises ValueError, which quotes nothing of the URL.
    """
    address = parse(url)
    clients = _Clients(address, timeout)
    if address.kind == "sentinel":
        return Sentinels(address, clients, timeout=timeout)
    if address.kind == "cluster":
        return Cluster(address, clients, timeout=timeout)
    return _Single(clients(*address.nodes))


def check_url(url: str) -> None:
    """Raise ValueError, without quoting it, for a URL with parts, options or files that are of no use."""
    if url == "embedded":
        return
    address = parse(url)
    if not issubclass(address.options["connection_class"], SSLConnection):
        return
    tls = {name: value for name, value in address.options.items() if name.startswith("ssl_")}
    for name in _TLS_FILES:
        if name in tls and not os.access(tls[name], os.R_OK):
            raise ValueError(f"what the TLS option {name} names is not there, or cannot be read")
    try:
        SSLConnection(**tls).ssl_context.get()
    except (OSError, ssl.SSLError, ValueError):
        raise ValueError(f"a file or a value of the TLS options cannot be used: {', '.join(tls)}") from None


class _Clients:
    """Makes clients that ask once and never wait long."""

    def __init__(self, address: Address, timeout: float) -> None:
        self._options = {
            **address.options,
            # The client's own retries would send a write again whose answer was lost, and wait for a minute.
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "client_name": "omnichannel-gateway",
            "driver_info": None,  # CLIENT SETINFO is one more right an ACL would have to grant
            "protocol": 2,  # one shape of answers on every server, 6.2 included
        }

    def __call__(self, node: Node | None = None, **instead: Any) -> Redis:
        """A client of one server; of the socket in the options where there is no node."""
        options = {**self._options, **instead}
        if node is not None:
            options |= {"host": node[0], "port": node[1], "socket_keepalive": True}
        return Redis.from_pool(ConnectionPool(**options))


class _Single:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def server(self, key: str) -> Redis:
        return self._redis

    async def moved(self) -> None:
        # Behind the same name there may be another server by now; the old one answers READONLY for ever.
        await self._redis.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        await self._redis.aclose()
