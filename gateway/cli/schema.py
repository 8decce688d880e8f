"""`schema`: the machine-readable contracts."""

import importlib
import json

import click

_ROOMS = {"envelope": "gateway.envelope", "config": "gateway.settings"}


@click.command()
@click.argument("which", type=click.Choice(list(_ROOMS)), default="envelope")
def command(which: str) -> None:
    """Print a JSON Schema: the ticket envelope's, or the configuration file's."""
    schema = importlib.import_module(_ROOMS[which]).json_schema()
    click.echo(json.dumps(schema, indent=2, ensure_ascii=False))
