"""A file of the directory is looked at for as long as the gateway runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.directory.file import FileSource


@asynccontextmanager
async def watching(file: FileSource) -> AsyncIterator[None]:
    """Leaving it ends the watch; a file that is being read is let go."""
    task = asyncio.create_task(file.watch(), name=f"directory {file.name}")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
