"""The object store: can originals, attachments and large dead letters be kept."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from gateway.doctor import Finding, disks, failing, ok, warning
from gateway.settings import Settings

_ROOM = 10**9
"""Bytes under which somebody should know."""


async def check(settings: Settings) -> Sequence[Finding]:
    """Writes and removes a file without a name where the store is a folder."""
    url = settings.objects.url
    if not url.startswith("file://"):
        scheme = url.partition("://")[0]
        return [failing(f"{scheme}:// stores are not in use yet", "let objects.url begin with file://")]
    return await asyncio.to_thread(_check, Path(url.removeprefix("file://")))


def _check(folder: Path) -> list[Finding]:
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
