"""A Redis client that fails fast and never sends a write twice on its own."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


class QueueUnavailable(Exception):
    """Redis did not say yes. A write may or may not be there: the same write again is safe."""


def connect(url: str, *, timeout: float = 1.0) -> Redis:
    """A lazily connecting client; `timeout` in seconds bounds connecting and every answer.

    redis-py's own retries are off: it would send an XADD again whose answer was lost, and wait for a minute.
    """
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=0,
        client_name="omnichannel-gateway",
        protocol=2,  # one shape of answers on every server, 6.2 included
    )


def check_url(url: str) -> None:
    """Raise ValueError, without quoting it, for a URL whose parts or options the client does not know."""
    if url != "embedded":
        try:
            connect(url).connection_pool.make_connection()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError):
            raise ValueError("a part or an option of the URL is not known") from None


def mask(url: str) -> str:
    """The URL without user, password and options: fit for a screen or a log."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
