"""Request bodies, read once and bounded."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp.web import Request

_LARGE: Final = 1024 * 1024
"""Bytes that take long to put together."""


async def read_body(
    request: Request, limit: int, *, seconds: float, grow: Callable[[int], None] = lambda _: None
) -> bytes | None:
    """The body, or None where it is larger than `limit` bytes: as announced, or decompressed as it comes.

    `grow` hears of each further so many bytes, before they are kept, and may raise. Raises TimeoutError after
    `seconds`, RequestPayloadError where it does not decompress.
    """
    content = request.content
    if content.is_eof():  # it came with the headers, as small bodies do
        body = content.read_nowait()
        if len(body) <= limit:
            grow(len(body))
            return body
        return None
    announced = request.content_length
    if announced is not None and announced > limit:
        return None
    chunks, size = [], 0
    async with asyncio.timeout(seconds):
        while chunk := await content.readany():
            size += len(chunk)
            if size > limit:
                return None
            grow(len(chunk))
            chunks.append(chunk)
    return b"".join(chunks) if size < _LARGE else await asyncio.to_thread(b"".join, chunks)
