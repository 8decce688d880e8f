"""What a command asks first of a queue it knows nothing of, and what to do where there is no answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from redis.exceptions import NoPermissionError, RedisError

from gateway.queue.connection.answers import word
from gateway.queue.connection.deployment import Deployment, deployment
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys

_FIRST_WORD = 3.0
"""Seconds for the first answer of all: somebody sits before a screen."""
_LATER = 10.0
"""Seconds for each answer after that: a page of large envelopes over a slow line, or a long backlog counted."""
_LOGIN = frozenset({"AuthenticationError", "AuthenticationWrongNumberOfArgsError", "NOAUTH", "WRONGPASS"})
_RIGHTS = frozenset({"AuthorizationError", "NoPermissionError", "NOPERM"})
_SILENT = "TimeoutError"


class Advice(NamedTuple):
    """What is wrong with the queue, and what to do about it; `known` is that it is more than nobody answering."""

    what: str
    remedy: str
    known: bool = True


def advise(why: str, place: str = "") -> Advice:
    """`why` is what QueueUnavailable says, `place` the masked URL."""
    queue = f"the queue at {place}" if place else "the queue"
    if why in _LOGIN:
        return Advice(f"{queue} refuses the login ({why})", "mend user and password in queue.url")
    if why in _RIGHTS:
        return Advice(f"{queue} refuses its user a command ({why})", "give the user in queue.url its rights")
    if why == _SILENT:
        return Advice(f"no answer in time from {queue} ({why})", "see what keeps the server, or the way to it")
    remedy = "start it (the gateway starts an embedded one), or mend queue.url"
    return Advice(f"no answer from {queue} ({why})", remedy, known=False)


@asynccontextmanager
async def asking(url: str, keys: Keys) -> AsyncIterator[Deployment]:
    """The deployment of a URL once it has answered anything at all. Raises QueueUnavailable."""
    queue = deployment(url, timeout=_LATER)
    try:
        await _first_word(queue, keys)
        yield queue
    finally:
        await queue.close()


async def _first_word(queue: Deployment, keys: Keys) -> None:
    try:
        async with asyncio.timeout(_FIRST_WORD):
            await (await queue.server(keys.seen)).ping()
    except NoPermissionError:
        pass  # it speaks, and what is asked next may be allowed
    except (RedisError, OSError, TimeoutError) as error:
        raise QueueUnavailable(word(error)) from error
