"""The object store: can originals, attachments and large dead letters be kept."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.doctor import Finding, disks, failing, ok, warning
from gateway.objects import ObjectsUnavailable
from gateway.settings import Settings

_ROOM = 10**9
"""Bytes under which somebody should know."""
_PATIENCE: Final = 10.0
_REMEDY = (
    "check objects.url, objects.endpoint, objects.region and the credentials: they have to be allowed to put, get "
    "and head objects"
)


async def check(settings: Settings) -> Sequence[Finding]:
    """Writes and removes a file without a name where the store is a folder, and an empty object where it is not."""
    url = settings.objects.url
    if url.startswith("file://"):
        return await asyncio.to_thread(_check_folder, Path(url.removeprefix("file://")))
    return [await _check_bucket(url, settings)]


async def _check_bucket(url: str, settings: Settings) -> Finding:
    from gateway.objects.remote import PROBE, Remote

    try:
        async with asyncio.timeout(_PATIENCE):
            store = Remote(url, settings.objects.access)
            await store.probe()
            await store.size(PROBE)
    except TimeoutError:
        return failing(f"{url} does not answer. Mail is deferred", _REMEDY)
    except ObjectsUnavailable as error:
        return failing(f"nothing can be written to {url}: {error}. Mail is deferred", _REMEDY)
    return ok(f"{url} can be written to and read")


def _check_folder(folder: Path) -> list[Finding]:
    if why := disks.trouble(folder):
        what = f"nothing can be written to {folder}: {why}. Mail is deferred"
        return [failing(what, "mend the folder's rights, make room, or set objects.url")]
    room = disks.free(folder)
    if room < _ROOM:
        return [
            warning(
                f"{room / 1e6:.0f} MB free on the disk of {folder}", "make room: expire what is older than your tickets"
            )
        ]
    return [ok(f"{folder} can be written to, {room / 1e9:.0f} GB free")]
