"""The spool: can messages wait here while Redis is away, and do any."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence

from gateway.doctor import Finding, disks, failing, ok, warning
from gateway.queue.spool.totals import spooled
from gateway.reporting.sizes import size
from gateway.settings import Settings


async def check(settings: Settings) -> Sequence[Finding]:
    """Looks at the folder; touches no spool file."""
    return await asyncio.to_thread(_check, settings)


def _check(settings: Settings) -> list[Finding]:
    ours = settings.spool
    if why := disks.trouble(ours.dir):
        return [failing(f"nothing can be written to {ours.dir}: {why}", "mend the folder's rights, or set spool.dir")]
    found = [ok(f"{ours.dir} can be written to")]
    room = disks.free(ours.dir)
    if room < ours.min_free:
        what = f"{size(room)} free on its disk, less than spool.min_free: it takes nothing"
        found.append(failing(what, "make room on the disk"))
    elif room < ours.min_free + ours.max_bytes:
        what = f"{size(room)} free on its disk, less than spool.max_bytes and spool.min_free together"
        found.append(warning(what, "make room on the disk, or lower spool.max_bytes"))
    try:
        entries, used, oldest_at = spooled(ours.dir)
    except (sqlite3.Error, OSError) as error:
        what = f"a spool file cannot be read ({type(error).__name__})"
        return [*found, failing(what, f"look at {ours.dir}: messages that heard yes are in it")]
    if used >= ours.max_bytes:
        what = f"it is full, {size(used)} of {size(ours.max_bytes)}: while the queue is away senders are turned away"
        found.append(failing(what, "bring the queue back, or raise spool.max_bytes"))
    if entries:
        age = "" if oldest_at is None else f", the oldest for {max(time.time() - oldest_at, 0):.0f} s"
        remedy = "they go out by themselves once the queue takes writes and a gateway runs"
        found.append(warning(f"{entries:,} messages wait{age}", remedy))
    return found
