"""The `--config` option and how every command reads the configuration."""

import os
from pathlib import Path
from typing import TypeVar

import click

from gateway.cli import Exit, fail
from gateway.settings import ConfigError, Settings, load

DEFAULT = Path("config/gateway.yaml")

F = TypeVar("F")


def config_option(command: F) -> F:
    """Add `--config FILE`."""
    option = click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path),
        default=DEFAULT,
        show_default=True,
        envvar="GATEWAY_CONFIG",
        help="The configuration.",
    )
    return option(command)  # type: ignore[type-var]


def read(path: Path) -> Settings:
    """The settings, or every error on stderr and exit 3."""
    try:
        return load(path, environ=os.environ)
    except ConfigError as error:
        fail("\n".join(str(problem) for problem in error.errors), Exit.CONFIGURATION)


def queue_url(settings: Settings) -> str:
    """Where another process finds the queue."""
    if settings.queue.url == "embedded":
        return f"redis://127.0.0.1:{settings.embedded.port}"
    return settings.queue.url
