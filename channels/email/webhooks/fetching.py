"""Small documents, and mails, from hosts that were looked at first."""

from collections.abc import Mapping

import aiohttp
from yarl import URL

SECONDS = 5.0
"""Without a byte; a small document has to be there whole by then."""
SMALL = 64 * 1024


async def fetch(url: str, *, headers: Mapping[str, str] | None = None, limit: int = SMALL) -> bytes:
    """The body of a 200, at most `limit` bytes; never by a redirect. Raises OSError."""
    body = bytearray()
    patience = aiohttp.ClientTimeout(total=SECONDS if limit <= SMALL else None, sock_connect=SECONDS, sock_read=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=patience) as client,
            client.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise OSError(f"answered {answer.status}")
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise OSError("answered too much")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise OSError(type(error).__name__) from error
    return bytes(body)
