"""`doctor`: is everything there, and what to do where it is not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from gateway.cli import Exit
from gateway.cli.config import config_option, read

_COLOURS = {"ok": "green", "warning": "yellow", "failing": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
def command(as_json: bool, config: Path) -> None:
    """Look at the queue, the spool, the object store, the directory, credentials, addresses and TLS.

    Connects to nothing but what is configured. Exit 1 where something fails, 4 where the queue is down.
    """
    from gateway.doctor import Diagnosis, examine
    from gateway.logs import configure

    def show(found: Sequence[Diagnosis]) -> None:
        for diagnosis in found:
            for finding in diagnosis.findings:
                level = click.style(f"{finding.level:<8}", fg=_COLOURS[finding.level])
                click.echo(f"{level} {diagnosis.check:<12} {finding.what}")
                if finding.remedy:
                    click.echo(f"{'':<21} → {finding.remedy}")

    settings = read(config)
    configure("critical", settings.logs.format)  # what the parts would log is said here
    found = asyncio.run(examine(settings))
    if as_json:
        click.echo(msgspec.json.encode({"checks": found}).decode())
    else:
        show(found)
    if any(diagnosis.queue_down for diagnosis in found):
        raise SystemExit(int(Exit.DEPENDENCY))
    if any(finding.level == "failing" for diagnosis in found for finding in diagnosis.findings):
        raise SystemExit(int(Exit.FAILURE))
