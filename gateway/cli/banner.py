"""What `run` says once the gateway listens: where, and a command to try for each inbox."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.app import Serving
from gateway.cli.config import DEFAULT
from gateway.settings import Settings
from gateway.settings.file import KeyPath

CHECKOUT = Path(__file__).parent.parent.parent
_PYTHON = os.path.relpath(sys.executable) if CHECKOUT == Path.cwd() else sys.executable
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:-|\})")
_WEB_PORT = ("http", "port")


def banner(serving: Serving, settings: Settings, config: Path) -> str:
    """Commands that are copied to another terminal find this gateway; of what may be a secret only the name is told."""
    values, names = _variables(serving, settings)
    python = " ".join((*(f"{name}={shlex.quote(value)}" for name, value in values.items()), _PYTHON, "-m gateway"))
    option = "" if config == DEFAULT else f" --config {shlex.quote(str(config))}"

    def command(words: str) -> str:
        return click.style(f"{python} {words}{option}", fg="cyan")

    queue = serving.queue
    if not serving.queue_ready:
        queue += " does not answer: messages wait in the spool"
    lines = ["", click.style("The gateway is listening.", bold=True), ""]
    lines += [f"  {'queue':<12} {queue}", f"  {'health':<12} {serving.url}/readyz", ""]
    for name, channel, where in serving.inboxes:
        lines += [f"  {name:<12} {where}", f"  {'':<12} {command(f'simulate {channel} --inbox {name}')}"]
    lines += ["", f"  {'read it':<12} {command('tail --follow')}", f"  {'ask why':<12} {command('explain ID')}"]
    if names:
        lines += [f"  {'':<12} with the same {', '.join(names)} in the environment"]
    return "\n".join([*lines, ""])


def _variables(serving: Serving, settings: Settings) -> tuple[dict[str, str], list[str]]:
    """The variables the configuration was read with: values of those that only address, names of the others."""
    values: dict[str, str] = {}
    named: set[str] = set()
    for path, name, value in _read(settings):
        if path == _WEB_PORT:  # 0 was any that is free
            values[name] = str(urlsplit(serving.url).port)
        elif _addresses(path):
            values.setdefault(name, value)
        else:
            named.add(name)
    return values, sorted(named - values.keys())


def _read(settings: Settings) -> Iterator[tuple[KeyPath, str, str]]:
    for path, replaced in settings.source.secrets.items():
        for value, reference in replaced:
            if found := _VARIABLE.match(reference):
                yield path, found[1], value


def _addresses(path: KeyPath) -> bool:
    return path in (("http", "host"), ("embedded", "port")) or (path[0], path[-1]) == ("channels", "listen")
