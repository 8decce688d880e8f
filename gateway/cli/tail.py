"""`tail`: look at the queue."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

import click
import msgspec

from channels import registry
from channels.units import duration
from gateway.cli import Exit, fail
from gateway.cli.config import config_option, read
from gateway.cli.queue import TRIMMED, opened, unanswered
from gateway.envelope import CALL_UPDATED, TYPES
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from gateway.queue.reader import StreamEntry
from gateway.queue.reader import read as read_queue

_COLOURS = {0: "yellow", 1: "cyan"}


class _Since(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Tier(msgspec.Struct):
    value: str


class _Address(msgspec.Struct):
    value: str


class _Requester(msgspec.Struct):
    proof: str
    name: str | None = None
    addresses: tuple[_Address, ...] = ()


class _Data(msgspec.Struct):
    reference: str
    channel: str
    tier: _Tier
    requester: _Requester
    received_at: datetime
    subject: str | None = None
    text: str = ""


class _Event(msgspec.Struct):
    """Of an envelope what a line shows: entries of every version of the gateway have that."""

    data: _Data


def _short(kind: str) -> str:
    """Of a type the middle: `message.received`."""
    return kind.removeprefix("support.").removesuffix(".v1")


_TYPES = tuple(_short(kind) for kind in (*TYPES.values(), CALL_UPDATED))
_decode = msgspec.json.Decoder(_Event).decode


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry must match; None matches all."""

    channel: str | None = None
    inbox: str | None = None
    type: str | None = None
    """As it stands in the entry, or its middle: `message.received`."""
    grep: str | None = None
    """A part of the id or of the reference, in capitals or not."""

    def match(self, entry: StreamEntry) -> bool:
        """Whether it is wanted."""
        fields = entry.fields
        return (
            self.channel in (None, fields.get("channel"))
            and self.inbox in (None, fields.get("inbox"))
            and self.type in (None, kind := fields.get("type", ""), _short(kind))
            and (self.grep is None or self._found(self.grep.lower(), fields))
        )

    @staticmethod
    def _found(part: str, fields: dict[str, str]) -> bool:
        try:
            reference = _decode(fields.get("event", "")).data.reference
        except msgspec.MsgspecError:
            reference = ""
        return part in fields.get("id", "").lower() or part in reference.lower()


@click.command()
@click.option("--tier", help="Only this tier.")
@click.option("--channel", help="Only this channel.")
@click.option("--inbox", help="Only this inbox.")
@click.option("--type", "kind", metavar="TYPE", help="Only events of this type: message.received, call.updated ...")
@click.option("--since", type=_Since(), help="Only what was published within this time: 90s, 15m, 1h, 7d.")
@click.option("--grep", metavar="PART", help="Only what has this in its id or reference.")
@click.option("--follow", "-f", is_flag=True, help="Wait for more, also while the queue is away.")
@click.option("--json", "as_json", is_flag=True, help="One CloudEvent per line.")
@click.option("-n", "most", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@config_option
def command(
    tier: str | None,
    channel: str | None,
    inbox: str | None,
    kind: str | None,
    since: timedelta | None,
    grep: str | None,
    follow: bool,
    as_json: bool,
    most: int,
    config: Path,
) -> None:
    """Read the newest ticket envelopes, oldest first, without consuming them."""
    settings = read(config)
    order = settings.tiers.order
    _one_of("tier", tier, order)
    _one_of("channel", channel, registry.names())
    _one_of("inbox", inbox, settings.channels)
    _one_of("type", None if kind is None else _short(kind), _TYPES)
    filters = Filters(channel=channel, inbox=inbox, type=kind, grep=grep)
    tiers = [tier] if tier else list(order)

    async def tail() -> bool:
        found = False
        parts = partitions(settings.queue.prefix, settings.queue.partitions)
        async with opened(settings) as queue:
            async for entry in read_queue(
                queue, parts, tiers, most=most, since=since, wanted=filters.match, follow=follow, on_link=_link
            ):
                found = True
                _show(entry, order.index(entry.tier), as_json)
        return found

    try:
        if not asyncio.run(tail()):
            fits = "" if filters == Filters() and since is None else " that fits"
            click.echo(f"nothing{fits} on the streams; {TRIMMED}", err=True)
    except QueueUnavailable as error:
        fail(unanswered(settings, error), Exit.DEPENDENCY)


def _one_of(what: str, name: str | None, known: Collection[str]) -> None:
    if name is not None and name not in known:
        fail(f"no {what} {name}; there are: {', '.join(known) or 'none'}", Exit.USAGE)


def _link(up: bool, why: str) -> None:
    click.echo("the queue is back" if up else f"the queue is away ({why}): waiting for it", err=True)


def _show(entry: StreamEntry, rank: int, as_json: bool) -> None:
    event = entry.fields.get("event", "")
    try:
        click.echo(msgspec.json.format(event, indent=-1) if as_json else _line(event, rank))
    except (msgspec.MsgspecError, ValueError):
        click.echo(f"entry {entry.entry_id} of {entry.tier} is no ticket envelope", err=True)


def _line(event: str, rank: int) -> str:
    data = _decode(event).data
    who = data.requester.name or next((address.value for address in data.requester.addresses), "nobody known")
    what = " ".join((data.subject or data.text).split())[:70]
    tier = click.style(f"{_tame(data.tier.value):<9}", fg=_COLOURS.get(rank, "white"))
    rest = f"{data.channel:<12} {data.reference}  {data.requester.proof:<9} {who[:24]}: {what}"
    return f"{data.received_at:%Y-%m-%d %H:%M:%S} {tier} {_tame(rest)}"


def _tame(text: str) -> str:
    """Without what would move the cursor, colour the terminal or turn the reading direction."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
