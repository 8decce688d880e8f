"""Request bodies, read once and bounded."""

import asyncio

from aiohttp.web import Request


async def read_body(request: Request, limit: int, *, seconds: float) -> bytes | None:
    """The body, or None where it is larger than `limit` bytes: as announced, or decompressed as it comes.

    Raises TimeoutError after `seconds`, RequestPayloadError where it does not decompress.
    """
    content = request.content
    if content.is_eof():  # it came with the headers, as small bodies do
        body = content.read_nowait()
        return body if len(body) <= limit else None
    announced = request.content_length
    if announced is not None and announced > limit:
        return None
    chunks, size = [], 0
    async with asyncio.timeout(seconds):
        while chunk := await content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                return None
    return b"".join(chunks)
