"""Customers in hashes that another system keeps, one for each address: `<prefix>:<kind>:<address>`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from gateway.directory.breaker import PAUSE, Nonsense, Unavailable
from gateway.directory.lookup import Question
from gateway.directory.matching import Known
from gateway.directory.options import RedisOptions, TierNames
from gateway.directory.records import Records, word
from normalizers.message import Address, Related

_RELATED = {"salesforce_account": "Account", "salesforce_opportunity": "Opportunity"}
_NO_HASH = "WRONGTYPE"
FIELDS = ("customer_id", "tier", "organization", "name", *_RELATED)


class RedisAsker:
    """One round trip for all addresses of a requester; connects with the first question."""

    def __init__(self, options: RedisOptions, names: TierNames, client: Redis) -> None:
        self._prefix = options.prefix
        self._fields = [options.fields.get(field, field) for field in FIELDS]
        self._records = Records(names, options.tiers)
        self._redis = client

    async def ask(self, question: Question, /) -> Mapping[Address, Sequence[Known]]:
        """Exact addresses and domains together. Raises Unavailable."""
        asked = (*question.exact, *question.domains)
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for address in asked:
                    pipeline.hmget(f"{self._prefix}:{address.kind}:{address.value}", self._fields)
                answers = await pipeline.execute(raise_on_error=False)
        except AuthenticationError:
            raise Unavailable("refuses our credentials", pause=PAUSE) from None
        except (RedisError, OSError) as error:
            raise _failure(error) from None
        for values in answers:
            if isinstance(values, RedisError):
                raise _failure(values)
        return {
            address: [self._known(values)]
            for address, values in zip(asked, answers, strict=True)
            if any(value is not None for value in values)
        }

    def _known(self, values: Sequence[bytes | None]) -> Known:
        try:
            cells = {field: value.decode() if value else None for field, value in zip(FIELDS, values, strict=True)}
        except UnicodeDecodeError:
            raise Nonsense("a hash that is not UTF-8") from None
        related = [
            Related(system="salesforce", type=kind, id=id)
            for field, kind in _RELATED.items()
            if (id := word(cells[field], field))
        ]
        return self._records.known(
            customer_id=cells["customer_id"],
            tier=cells["tier"],
            organization=cells["organization"],
            name=cells["name"],
            related=related,
        )


@asynccontextmanager
async def opened(options: RedisOptions, names: TierNames) -> AsyncIterator[RedisAsker]:
    """Leaving it closes the connections."""
    client = _client(options)
    try:
        yield RedisAsker(options, names, client)
    finally:
        await client.aclose()


def _failure(error: Exception) -> Unavailable:
    if str(error).startswith(_NO_HASH):
        return Nonsense("a key that holds no hash")
    return Unavailable(f"the question failed: {type(error).__name__}")


def check_url(options: RedisOptions) -> None:
    """Raise ValueError, without quoting it, for a URL whose parts or options the client does not know."""
    try:
        _client(options).connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError):
        raise ValueError("a part or an option of the URL is not known") from None


def _client(options: RedisOptions) -> Redis:
    return Redis.from_url(
        options.url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=options.timeout,
        socket_connect_timeout=options.timeout,
        client_name="omnichannel-gateway",
        protocol=2,
    )
