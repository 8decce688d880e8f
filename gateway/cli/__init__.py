"""The command line: one file per command, imported only when it is called, so that `--help` is instant."""

import importlib
from enum import IntEnum
from typing import NoReturn

import click


class Exit(IntEnum):
    """What a process manager or script hears."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CONFIGURATION = 3
    DEPENDENCY = 4
    INTERRUPTED = 130


_COMMANDS = {
    "channels": "List the channels there are, or print one channel's guide.",
    "check": "Load the configuration and every enabled adapter; connect nowhere.",
    "dead-letters": "Show what could not be published, and try it again.",
    "doctor": "Look at everything the gateway depends on, and say what to do.",
    "explain": "Say for one message why: who, which proof, which rules, which promise.",
    "run": "Serve the enabled inboxes until told to stop.",
    "schema": "Print a machine-readable contract.",
    "simulate": "Send a real sample message through a channel's front door.",
    "stats": "Say how full the queue and the spool are, and what came in.",
    "tail": "Read ticket envelopes without consuming them.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"gateway.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Omnichannel gateway: every way a customer writes, on one Redis stream per tier."""


def fail(message: str, code: Exit = Exit.FAILURE) -> NoReturn:
    """Say it on stderr and leave."""
    click.echo(message, err=True)
    raise SystemExit(int(code))


def main() -> None:
    """Entry point; Ctrl-C is 130."""
    try:
        cli.main(prog_name="python -m gateway", standalone_mode=False)
    except click.exceptions.Exit as done:
        raise SystemExit(done.exit_code) from None
    except click.exceptions.Abort:
        raise SystemExit(int(Exit.INTERRUPTED)) from None
    except KeyboardInterrupt:
        raise SystemExit(int(Exit.INTERRUPTED)) from None
    except BrokenPipeError:
        raise SystemExit(int(Exit.OK)) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
