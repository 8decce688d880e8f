"""What the checks of addresses share: one GET, bounded, that follows nobody anywhere else."""

import os
from typing import NamedTuple

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=1.5)
_MOST = 64 * 1024


class Answer(NamedTuple):
    """What came back; at most 64 KiB of it."""

    status: int
    body: bytes


class Unreachable(Exception):
    """Nobody answers; says why in words."""


async def get(url: str) -> Answer:
    """Raises Unreachable."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return Answer(answer.status, await answer.content.read(_MOST))
    except aiohttp.ClientConnectorCertificateError as error:
        raise Unreachable("its certificate is not trusted") from error
    except aiohttp.ClientConnectorDNSError as error:
        raise Unreachable("its name is not known") from error
    except TimeoutError as error:
        raise Unreachable("no answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        number = getattr(error, "errno", None)
        raise Unreachable(os.strerror(number) if number else type(error).__name__) from error
