"""`check`: would it start?"""

from pathlib import Path

import click

from channels import registry
from gateway.app import load_directory
from gateway.cli import Exit, fail
from gateway.cli.config import config_option, read
from gateway.directory.file import DirectoryError
from gateway.settings import not_in_use


@click.command()
@config_option
def command(config: Path) -> None:
    """Load the configuration, the directory and every enabled adapter; connect nowhere."""
    settings = read(config)
    try:
        load_directory(settings)
    except DirectoryError as error:
        fail(str(error), Exit.CONFIGURATION)
    for note in not_in_use(settings):
        click.echo(str(note), err=True)
    ready = [name for name, inbox in settings.channels.items() if inbox.enabled and not registry.is_planned(inbox.type)]
    click.echo(f"{config}: ok, {len(ready)} inbox{'' if len(ready) == 1 else 'es'}: {', '.join(ready) or 'none'}")
