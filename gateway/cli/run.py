"""`run`: serve the enabled inboxes."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path

import click
import structlog

from gateway.app import CannotStart, DependencyDown, Misconfigured, NoSuchInbox, Serving, serve
from gateway.cli import Exit, fail
from gateway.cli.config import config_option, read
from gateway.logs import configure
from gateway.settings import Settings, not_in_use

_STOP_WITHIN = 25.0
_STOP = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
"""A closed terminal is a stop like any other."""
_ADDRESSES = ("PORT", "SMTP_PORT", "EMBEDDED_PORT")
_ROOMS = Path(__file__).parent.parent.parent
_PYTHON = os.path.relpath(sys.executable) if _ROOMS == Path.cwd() else sys.executable


@click.command()
@config_option
@click.option("--only", default="", metavar="TYPE_OR_INBOX,…", help="Only these channels or inboxes.")
def command(config: Path, only: str) -> None:
    """Serve the enabled inboxes. SIGTERM finishes what is in hand and exits 0."""
    settings = read(config)
    configure(settings.logs.level, settings.logs.format)
    names = [name for name in (part.strip() for part in only.split(",")) if name]
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            done = runner.run(_run(settings, names))
    except Misconfigured as error:
        fail(str(error), Exit.CONFIGURATION)
    except NoSuchInbox as error:
        fail(str(error), Exit.USAGE)
    except DependencyDown as error:
        fail(str(error), Exit.DEPENDENCY)
    except CannotStart as error:
        fail(str(error), Exit.FAILURE)
    raise SystemExit(int(done))


async def _run(settings: Settings, only: Collection[str]) -> Exit:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[signal.Signals] = loop.create_future()

    def tell(signum: signal.Signals) -> None:
        loop.remove_signal_handler(signum)  # a second one ends it at once
        if not told.done():
            told.set_result(signum)

    for signum in _STOP:
        loop.add_signal_handler(signum, tell, signum)
    log = structlog.get_logger()
    for note in not_in_use(settings):
        log.warning("setting.ignored", note=str(note))
    stack = AsyncExitStack()
    starting = asyncio.create_task(stack.enter_async_context(serve(settings, only=only)))
    told.add_done_callback(lambda _: starting.cancel())
    await asyncio.wait({starting})
    if starting.cancelled():
        return _exit(told.result())
    serving = starting.result()
    _announce(serving)
    _calm_the_collector()
    log.info("gateway.started", url=serving.url, inboxes=len(serving.inboxes), rooms=str(_ROOMS))
    stopped_by = await told
    log.info("gateway.stopping", signal=stopped_by.name, within_s=_STOP_WITHIN)
    try:
        async with asyncio.timeout(_STOP_WITHIN):
            await stack.aclose()
    except TimeoutError:
        log.error("gateway.cut_short", within_s=_STOP_WITHIN)
        return Exit.FAILURE
    log.info("gateway.stopped")
    return _exit(stopped_by)


def _exit(stopped_by: signal.Signals) -> Exit:
    return Exit.INTERRUPTED if stopped_by is signal.SIGINT else Exit.OK


def _calm_the_collector() -> None:
    """What is alive now lives for ever; without this the collector walks all of it every few thousand messages.

    Measured under 64 connections: the 99th percentile falls from 44 to 15 ms, throughput rises by a fifth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _announce(serving: Serving) -> None:
    lines = ["", click.style("The gateway is listening.", bold=True), ""]
    # A command that is copied to another terminal must find this gateway.
    python = " ".join((*(f"{name}={os.environ[name]}" for name in _ADDRESSES if name in os.environ), _PYTHON))
    queue = serving.queue if serving.queue_ready else f"{serving.queue} does not answer: messages are deferred"
    lines += [f"  {'queue':<12} {queue}", f"  {'health':<12} {serving.url}/readyz", ""]
    for name, channel, where in serving.inboxes:
        lines.append(f"  {name:<12} {where}")
        lines.append(f"  {'':<12} {click.style(f'{python} -m gateway simulate {channel} --inbox {name}', fg='cyan')}")
    lines += ["", f"  {'read it':<12} {click.style(f'{python} -m gateway tail --follow', fg='cyan')}", ""]
    click.echo("\n".join(lines))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    return uvloop.new_event_loop
