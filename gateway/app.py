"""The composition root: what stands on what. What started last is stopped first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from channels import registry
from channels.api import ChannelSettings
from gateway import downloads, http, parts
from gateway.directory.build import Prepared
from gateway.health import Check, Health
from gateway.inboxes import Inboxes
from gateway.metrics import Metrics
from gateway.objects import Objects
from gateway.parts import CannotStart, DependencyDown, Misconfigured, NoSuchInbox
from gateway.queue.connection.deployment import check_url, mask
from gateway.queue.publisher import Publisher
from gateway.queue.spool.spool import Spool
from gateway.settings import Settings

__all__ = ["CannotStart", "DependencyDown", "Misconfigured", "NoSuchInbox", "Serving", "choose", "serve", "verify"]


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A gateway that listens: its own URL, the queue's, and each inbox's name, channel and address."""

    url: str
    queue: str
    queue_ready: bool
    inboxes: Sequence[tuple[str, str, str]]


@asynccontextmanager
async def serve(
    settings: Settings, *, only: Collection[str] = (), shared_ports: bool = False
) -> AsyncIterator[Serving]:
    """Listen on every enabled inbox while entered; leaving it finishes what is in hand.

    `only` limits it to inboxes or channel types of these names; other processes of ours listen on `shared_ports`
    too. Raises CannotStart.
    """
    prepared = verify(settings)
    for note in prepared.notes:
        structlog.get_logger().warning("directory.noted", note=note)
    chosen = choose(settings.channels, only)
    metrics, health = Metrics(), Health()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        try:
            door = stack.enter_context(http.reserve(settings.http.host, settings.http.port, shared=shared_ports))
        except OSError as error:
            raise CannotStart(str(error)) from error
        queue_url = await enter(parts.open_queue(settings))
        redis = await enter(parts.connected(settings, queue_url))
        await enter(parts.tallying(settings, redis, metrics))
        spool = await enter(parts.spooling(settings, metrics))
        publisher = await enter(parts.publishes(settings, redis, spool, metrics))
        await parts.check_durability(settings, redis)
        await enter(parts.duties(settings, redis, metrics))
        directory = await enter(parts.directory(settings, prepared, metrics))
        objects = parts.objects(settings)
        scratch = stack.enter_context(parts.scratching(settings))
        normalizing = await enter(parts.normalizing(settings, scratch))
        health.add("queue", partial(_queue_health, publisher, spool))
        health.add("objects", partial(_objects_health, objects))
        inboxes = Inboxes(
            settings,
            directory=directory,
            publisher=publisher,
            objects=objects,
            normalizing=normalizing,
            metrics=metrics,
            scratch=scratch,
            shared_ports=shared_ports,
        )
        cursors = parts.cursors(settings, redis)
        adapters = {name: inboxes.adapter(name, inbox, cursors) for name, inbox in chosen.items()}
        doors = await enter(_together())
        for name, adapter in adapters.items():
            try:
                await doors(adapter.lifespan())
            except OSError as error:
                raise CannotStart(f"inbox {name}: {error}") from error
        readers = {reader.name: reader.token_sha256 for reader in settings.objects.readers}
        app = http.build(
            {name: adapter.routes() for name, adapter in adapters.items()},
            health=health,
            metrics=metrics,
            more=downloads.routes(objects, readers),
        )
        await doors(http.listening(app, door, max_header=settings.http.max_header))
        url = http.url(settings.http.host, door.getsockname()[1])
        yield Serving(
            url=url,
            queue=mask(queue_url),
            queue_ready=publisher.up,
            inboxes=[(name, inbox.type, inbox.where(f"{url}/channels/{name}")) for name, inbox in chosen.items()],
        )


def verify(settings: Settings) -> Prepared:
    """All that can be known without connecting anywhere: the directory, and what is odd about it.

    Raises Misconfigured.
    """
    # What would be silently ignored where a message's safety hangs on it is refused.
    problem = settings.source.problem
    try:
        check_url(settings.queue.url)
    except ValueError as error:
        raise Misconfigured(str(problem(("queue", "url"), str(error), "value"))) from error
    if not settings.objects.url.startswith("file://"):  # a folder would be made
        try:
            parts.objects(settings)
        except DependencyDown as error:
            raise Misconfigured(str(problem(("objects", "url"), str(error.__cause__), "value"))) from error
    for name, inbox in settings.channels.items():
        if inbox.enabled and (found := inbox.unusable()):
            key, what = found
            raise Misconfigured(str(problem(("channels", name, key), what, "value")))
    return parts.prepare_directory(settings)


@asynccontextmanager
async def _together() -> AsyncIterator[Callable[[AbstractAsyncContextManager[None]], Awaitable[None]]]:
    """Contexts that are entered one by one and left all at once: every door closes before anything is drained."""
    inside: list[AbstractAsyncContextManager[None]] = []

    async def enter(context: AbstractAsyncContextManager[None]) -> None:
        await context.__aenter__()
        inside.append(context)

    try:
        yield enter
    finally:
        left = await asyncio.gather(*(one.__aexit__(None, None, None) for one in inside), return_exceptions=True)
        for error in left:
            if isinstance(error, Exception):
                structlog.get_logger().error("inbox.stop_failed", error=type(error).__name__)


def choose(channels: Mapping[str, ChannelSettings], only: Collection[str]) -> dict[str, ChannelSettings]:
    """The enabled inboxes that have an adapter, or those of them named in `only`. Raises CannotStart."""
    ready = {name: inbox for name, inbox in channels.items() if inbox.enabled and not registry.is_planned(inbox.type)}
    unknown = set(only) - set(ready) - {inbox.type for inbox in ready.values()}
    if unknown:
        names = ", ".join(sorted({*ready, *(inbox.type for inbox in ready.values())}))
        raise NoSuchInbox(f"--only: no enabled inbox or channel {', '.join(sorted(unknown))}; there are: {names}")
    return {name: inbox for name, inbox in ready.items() if not only or name in only or inbox.type in only}


async def _objects_health(objects: Objects) -> Check:
    writable = await objects.writable()
    return Check(writable, "ok" if writable else "failing")


async def _queue_health(publisher: Publisher, spool: Spool) -> Check:
    """Ready as long as a message can be kept: by the server, else by the spool."""
    up = await publisher.probe()
    waiting = f"{spool.entries} in the spool"
    if up:
        return Check(True, f"ok, {waiting}" if spool.entries else "ok")
    if await spool.writable():
        return Check(True, f"away: {waiting}")
    return Check(False, "away, and the spool takes nothing")
