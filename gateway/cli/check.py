"""`check`: would it start?"""

from pathlib import Path

import click

from channels import registry
from gateway.app import Misconfigured, verify
from gateway.cli import Exit, fail
from gateway.cli.config import config_option, read
from gateway.settings import not_in_use


@click.command()
@config_option
def command(config: Path) -> None:
    """Would it start? Load the configuration, what it names and every enabled channel; connect nowhere."""
    settings = read(config)
    try:
        notes = verify(settings).notes
    except Misconfigured as error:
        fail(str(error), Exit.CONFIGURATION)
    for note in (*map(str, not_in_use(settings)), *notes):
        click.echo(note, err=True)
    ready = [name for name, inbox in settings.channels.items() if inbox.enabled and not registry.is_planned(inbox.type)]
    click.echo(f"{config}: ok, {len(ready)} inbox{'' if len(ready) == 1 else 'es'}: {', '.join(ready) or 'none'}")
