"""`channels`: what adapters there are."""

import json

import click

from channels import registry
from gateway.cli import Exit, fail


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(name: str | None, as_json: bool) -> None:
    """List the channels, or print the guide of one."""
    try:
        if name is not None:
            click.echo(registry.readme(name))
            return
        found = {name: _first_sentence(registry.readme(name)) for name in registry.names()}
    except LookupError as error:
        fail(str(error), Exit.USAGE)
    if as_json:
        click.echo(json.dumps([{"name": n, "summary": s} for n, s in found.items()], ensure_ascii=False))
        return
    for channel, summary in found.items():
        click.echo(f"{channel:<14} {summary}")


def _first_sentence(readme: str) -> str:
    """Of the first paragraph under the title."""
    paragraphs = (part for part in readme.split("\n\n") if not part.startswith("#"))
    words = " ".join(next(paragraphs, "").split())
    sentence, stop, _ = words.partition(". ")
    return sentence + stop.strip()
