"""`stats`: how full is it, and what came in?"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from channels.units import duration, spell
from gateway.cli import Exit, fail
from gateway.cli.config import config_option, read
from gateway.cli.queue import opened, unanswered
from gateway.queue.connection.deployment import Deployment
from gateway.queue.depths import COUNTED, Depths, StreamDepth, queue_depths
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from gateway.queue.spool.totals import spooled
from gateway.queue.tally import read as read_counts
from gateway.reporting.report import Report, report, span
from gateway.reporting.sizes import size
from gateway.reporting.table import shown
from gateway.settings import Settings

_ALL = 10_000
"""Columns where nobody looks: a pipe has no edge."""


class SpoolDepth(msgspec.Struct, frozen=True, kw_only=True):
    """What waits on this machine's disk for Redis."""

    entries: int
    bytes: int
    max_bytes: int
    """Over that senders are told to come again."""
    oldest_seconds: float | None


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints; null is what could not be read."""

    queue: Depths | None
    spool: SpoolDepth | None
    stream_bound: int
    report: Report | None = None
    """Null also without `--since`."""


class _Since(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--since", type=_Since(), help="First what came in: 24h, 7d. Whole hours, rounded outwards.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
def command(since: timedelta | None, as_json: bool, config: Path) -> None:
    """How much waits, where, and for how long: tiers and their readers, dead letters, the spool of this machine.

    With --since the report of the morning before it: channels, tiers, duplicates, and what was turned away or put off.
    """
    settings = read(config)
    if since is not None and since > settings.queue.keep_stats:
        kept = spell(settings.queue.keep_stats)
        raise click.BadParameter(f"counts are kept for {kept} (queue.keep_stats)", param_hint="--since")
    spool, spool_why = _spool(settings)
    (queue, came), queue_why = _queue(settings, since)
    stats = Stats(queue=queue, spool=spool, stream_bound=settings.queue.stream_bound, report=came)
    if as_json:
        click.echo(msgspec.json.encode(stats).decode())
    else:
        _print(stats)
    wrong = [f"the spool in {settings.spool.dir} cannot be read ({spool_why})"] if spool is None else []
    if queue is None:
        wrong.append(queue_why)
    if wrong:
        fail("\n".join(wrong), Exit.DEPENDENCY if queue is None else Exit.FAILURE)


def _queue(settings: Settings, since: timedelta | None) -> tuple[tuple[Depths | None, Report | None], str]:
    async def ask() -> tuple[Depths, Report | None]:
        async with opened(settings) as queue:
            keys = partitions(settings.queue.prefix, settings.queue.partitions)
            came = await _report(settings, queue, since) if since is not None else None
            return await queue_depths(queue, keys, settings.tiers.order, count=COUNTED), came

    try:
        return asyncio.run(ask()), ""
    except QueueUnavailable as error:
        return (None, None), unanswered(settings, error)


async def _report(settings: Settings, queue: Deployment, since: timedelta) -> Report:
    ours, now = settings.queue, datetime.now(UTC)
    first, *_ = partitions(ours.prefix, ours.partitions)
    asked = span(now, since)
    kept = await read_counts(queue, first, (*asked.before, *asked.hours))
    channels = sorted({inbox.type for inbox in settings.channels.values() if inbox.enabled})
    return report(kept, asked, now, keep=ours.keep_stats, channels=channels, tiers=settings.tiers.order)


def _spool(settings: Settings) -> tuple[SpoolDepth | None, str]:
    try:
        entries, taken, oldest_at = spooled(settings.spool.dir)
    except (sqlite3.Error, OSError) as error:
        return None, type(error).__name__
    oldest = None if oldest_at is None else max(time.time() - oldest_at, 0.0)
    most = settings.spool.max_bytes
    return SpoolDepth(entries=entries, bytes=taken, max_bytes=most, oldest_seconds=oldest), ""


def _print(stats: Stats) -> None:
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_ALL)
    if stats.report:
        for part in shown(stats.report):
            console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))
    if stats.queue:
        table = Table("tier", box=None, pad_edge=False)
        for heading in ("entries", "group", "pending", "undelivered", "oldest unread"):
            table.add_column(heading, justify="left" if heading == "group" else "right")
        for stream in stats.queue.streams:
            for row in _rows(stream, stats.stream_bound):
                table.add_row(*row)
        console.print(table)
        console.print()
    for what, said in _others(stats):
        console.print(f"{what:<13} {said}", markup=False, highlight=False, soft_wrap=True)


def _rows(stream: StreamDepth, bound: int) -> Iterator[tuple[str, ...]]:
    entries = f"{stream.entries:,}" + (" over the bound" if stream.longest > bound else "")
    if not stream.groups:
        yield stream.tier, entries, "nobody reads", "", "", _age(stream.oldest_unread_seconds)
    for number, group in enumerate(stream.groups):
        waiting = "" if group.undelivered is None else f"{'' if group.exact else '≥ '}{group.undelivered:,}"
        first = (stream.tier, entries) if not number else ("", "")
        yield *first, group.name, f"{group.pending:,}", waiting, _age(group.oldest_unread_seconds)


def _others(stats: Stats) -> Iterator[tuple[str, str]]:
    if depths := stats.queue:
        oldest = f", the oldest {_age(depths.oldest_dead_letter_seconds)} old" if depths.dead_letters else ""
        yield "dead letters", f"{depths.dead_letters:,}{oldest}"
        yield "seen marks", f"{depths.seen_marks:,}"
        if depths.memory_bytes is not None:
            most = f" of {size(depths.memory_max_bytes)}" if depths.memory_max_bytes else ", without a limit"
            yield "redis memory", f"{size(depths.memory_bytes)}{most}"
    if spool := stats.spool:
        full = ", full: senders are told to come again" if spool.bytes >= spool.max_bytes else ""
        oldest = f", the oldest {_age(spool.oldest_seconds)} old" if spool.entries else ""
        taken = f", {size(spool.bytes)} of {size(spool.max_bytes)}{oldest}{full}" if spool.entries else ""
        yield "spool", f"{spool.entries:,}{taken}"


def _age(seconds: float | None) -> str:
    """In two units at most: `2d 3h`, `5m 10s`, `4s`."""
    if seconds is None:
        return "-"
    left, words = int(seconds), list[str]()
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not words):
            words.append(f"{count}{unit}")
    return " ".join(words[:2])
