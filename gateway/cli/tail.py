"""`tail`: look at the queue."""

import asyncio
from pathlib import Path

import click

from gateway import envelope as wire
from gateway.cli import Exit, fail
from gateway.cli.config import config_option, queue_url, read
from gateway.queue.connection import QueueUnavailable, connect, mask
from gateway.queue.keys import Keys
from gateway.queue.reader import StreamEntry
from gateway.queue.reader import read as read_queue
from gateway.settings import Settings

_COLOURS = {0: "yellow", 1: "cyan"}


@click.command()
@click.option("--tier", help="Only this tier.")
@click.option("--channel", help="Only this channel.")
@click.option("--follow", "-f", is_flag=True, help="Wait for more.")
@click.option("--json", "as_json", is_flag=True, help="One CloudEvent per line.")
@click.option("-n", "most", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How far back.")
@config_option
def command(tier: str | None, channel: str | None, follow: bool, as_json: bool, most: int, config: Path) -> None:
    """Read ticket envelopes, oldest first, without consuming them."""
    settings = read(config)
    if tier is not None and tier not in settings.tiers.order:
        fail(f"no tier {tier}; there are: {', '.join(settings.tiers.order)}", Exit.USAGE)
    tiers = [tier] if tier else list(settings.tiers.order)
    url = queue_url(settings)
    try:
        asyncio.run(_tail(settings, url, tiers, channel, follow, as_json, most))
    except QueueUnavailable as error:
        fail(
            f"no answer from the queue at {mask(url)} ({error}): is the gateway running?",
            Exit.DEPENDENCY,
        )


async def _tail(
    settings: Settings,
    url: str,
    tiers: list[str],
    channel: str | None,
    follow: bool,
    as_json: bool,
    most: int,
) -> None:
    redis = connect(url)
    try:
        async for entry in read_queue(redis, Keys(prefix=settings.queue.prefix), tiers, follow=follow, most=most):
            if channel is None or entry.fields.get("channel") == channel:
                event = entry.fields.get("event", "")
                click.echo(event if as_json else _line(entry, settings.tiers.order.index(entry.tier)))
    finally:
        await redis.aclose()


def _line(entry: StreamEntry, rank: int) -> str:
    envelope = wire.decode(entry.fields["event"].encode())
    data = envelope.data
    who = data.requester.name or next((a.value for a in data.requester.addresses), "nobody known")
    what = " ".join((data.subject or data.text).split())[:70]
    tier = click.style(f"{data.tier.value:<9}", fg=_COLOURS.get(rank, "white"))
    when = f"{data.received_at:%Y-%m-%d %H:%M:%S}"
    return f"{when} {tier} {data.channel:<12} {data.reference}  {data.requester.proof.value:<9} {who[:24]}: {what}"
