"""`simulate`: a real sample through a channel's front door."""

import asyncio
from pathlib import Path

import click

from channels import registry
from channels.api import ChannelSettings, FrontDoor, SimulateError
from gateway.cli import Exit, fail
from gateway.cli.config import config_option, read
from gateway.http import url
from gateway.settings import Settings


@click.command()
@click.argument("channel")
@click.option("--inbox", help="Which inbox of that channel; the first by default.")
@click.option("--file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Send this.")
@click.option("--sample", help="Send the shipped sample of this name.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Replace a field; repeatable.")
@click.option("--repeat", type=click.IntRange(1, 100_000), default=1, help="Send that many, a new message each.")
@config_option
def command(
    channel: str,
    inbox: str | None,
    file: Path | None,
    sample: str | None,
    pairs: tuple[str, ...],
    repeat: int,
    config: Path,
) -> None:
    """Send a real, properly signed sample message to the running gateway."""
    try:
        manifest = registry.load(channel)
        samples = registry.samples(channel)
    except LookupError as error:
        fail(str(error), Exit.USAGE)
    settings = read(config)
    name, own = _inbox(settings, channel, inbox)
    files = [file] if file else _chosen(samples, sample)
    here = url(settings.http.host, settings.http.port)
    door = FrontDoor(inbox=name, url=f"{here}/channels/{name}", public_url=settings.http.public_url)
    overrides = dict(_pair(pair) for pair in pairs)

    async def send() -> None:
        for n in range(repeat):
            click.echo(await manifest.simulate(own, door, files[n % len(files)].read_bytes(), overrides))

    try:
        asyncio.run(send())
    except SimulateError as error:
        fail(str(error), Exit.FAILURE)


def _inbox(settings: Settings, channel: str, inbox: str | None) -> tuple[str, ChannelSettings]:
    found = {name: own for name, own in settings.channels.items() if own.type == channel and own.enabled}
    if not found:
        fail(f"the configuration has no enabled inbox of type {channel}", Exit.USAGE)
    name = inbox or next(iter(found))
    if name not in found:
        fail(f"no enabled {channel} inbox named {name}; there are: {', '.join(found)}", Exit.USAGE)
    return name, found[name]


def _chosen(samples: list[Path], name: str | None) -> list[Path]:
    chosen = [path for path in samples if name is None or path.stem == name]
    if not chosen:
        there = ", ".join(path.stem for path in samples) or "none"
        fail(f"no sample named {name}; there are: {there}", Exit.USAGE)
    return chosen


def _pair(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not key or not equals:
        fail(f"--set {pair}: write it as key=value", Exit.USAGE)
    return key, value
