"""The composition root: the only module that builds things. What started last is stopped first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from channels import registry
from channels.api import ChannelSettings
from gateway import http
from gateway.directory import file as file_directory
from gateway.directory.in_order import InOrder
from gateway.directory.lookup import Directory
from gateway.events import QueueEvents
from gateway.health import Health
from gateway.inboxes import Inboxes
from gateway.metrics import Metrics
from gateway.objects import Objects, ObjectsUnavailable
from gateway.queue.connection import check_url, connect, mask
from gateway.queue.embedded import EmbeddedError, EmbeddedOptions, embedded
from gateway.queue.keys import Keys
from gateway.queue.publisher import Publisher
from gateway.settings import Settings
from gateway.settings.policies import FileSource


class CannotStart(Exception):
    """Something the gateway needs is missing; the message says what to do."""


class Misconfigured(CannotStart):
    """The configuration, or a file it names, is wrong."""


class NoSuchInbox(CannotStart):
    """`only` names something that is not there."""


class DependencyDown(CannotStart):
    """It is a server or a store of ours that is missing."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A gateway that listens: its own URL, the queue's, and each inbox's name, channel and address."""

    url: str
    queue: str
    queue_ready: bool
    inboxes: Sequence[tuple[str, str, str]]


@asynccontextmanager
async def serve(settings: Settings, *, only: Collection[str] = ()) -> AsyncIterator[Serving]:
    """Listen on every enabled inbox while entered; leaving it finishes what is in hand.

    `only` limits it to inboxes or channel types of these names. Raises CannotStart.
    """
    directory, notes = verify(settings)
    for note in notes:
        structlog.get_logger().warning("directory.ambiguous", note=note)
    chosen = choose(settings.channels, only)
    metrics, health = Metrics(), Health()
    async with AsyncExitStack() as stack:
        try:
            door = stack.enter_context(http.reserve(settings.http.host, settings.http.port))
        except OSError as error:
            raise CannotStart(str(error)) from error
        queue_url = await stack.enter_async_context(_queue(settings))
        publisher = await stack.enter_async_context(_publisher(settings, queue_url, metrics, health))
        objects = _objects(settings)
        health.add("objects", objects.writable)
        inboxes = Inboxes(settings, directory=directory, publisher=publisher, objects=objects, metrics=metrics)
        adapters = {name: inboxes.adapter(name, inbox) for name, inbox in chosen.items()}
        doors = await stack.enter_async_context(_together())
        for name, adapter in adapters.items():
            try:
                await doors(adapter.lifespan())
            except OSError as error:
                raise CannotStart(f"inbox {name}: {error}") from error
        app = http.build({name: adapter.routes() for name, adapter in adapters.items()}, health=health, metrics=metrics)
        await doors(http.listening(app, door, max_header=settings.http.max_header))
        url = http.url(settings.http.host, door.getsockname()[1])
        yield Serving(
            url=url,
            queue=mask(queue_url),
            queue_ready=publisher.up,
            inboxes=[(name, inbox.type, inbox.where(f"{url}/channels/{name}")) for name, inbox in chosen.items()],
        )


def verify(settings: Settings) -> tuple[Directory, list[str]]:
    """All that can be known without connecting anywhere: the directory, and what is odd about it.

    Raises Misconfigured.
    """
    # What would be silently ignored where a message's safety hangs on it is refused.
    if settings.queue.url.startswith(("redis+cluster://", "redis+sentinel://")):
        raise Misconfigured("queue.url: clusters and sentinels are accepted but not in use yet: name a single server")
    if settings.queue.partitions > 1:
        raise Misconfigured("queue.partitions: more than 1 is accepted but not in use yet")
    try:
        check_url(settings.queue.url)
    except ValueError as error:
        raise Misconfigured(f"queue.url: {error}") from error
    if not settings.objects.url.startswith("file://"):
        raise Misconfigured("objects.url: only file:// is in use yet")
    try:
        return load_directory(settings)
    except file_directory.DirectoryError as error:
        raise Misconfigured(str(error)) from error


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


def load_directory(settings: Settings) -> tuple[Directory, list[str]]:
    """Every file of the directory, and a note on each with ambiguous addresses. Raises DirectoryError."""
    as_of = datetime.now(UTC)
    sources, notes = [], []
    for source in settings.directory:
        if isinstance(source, FileSource):
            found = file_directory.load(source.path, tiers=settings.tiers.order, as_of=as_of)
            sources.append(found)
            if found.ambiguous:
                count = len(found.ambiguous)
                notes.append(f"{source.path}: addresses that name several customers, and so give no tier: {count}")
    return (sources[0] if len(sources) == 1 else InOrder(sources)), notes


def _objects(settings: Settings) -> Objects:
    try:
        return Objects.from_url(settings.objects.url)
    except ObjectsUnavailable as error:
        raise DependencyDown(f"objects.url: {error}") from error


@asynccontextmanager
async def _queue(settings: Settings) -> AsyncIterator[str]:
    if settings.queue.url != "embedded":
        yield settings.queue.url
        return
    ours = settings.embedded
    options = EmbeddedOptions(dir=Path(ours.dir), port=ours.port, fsync=ours.fsync, max_memory=ours.max_memory)
    log = structlog.get_logger()

    def tell(event: str, about: Mapping[str, object]) -> None:
        (log.error if event in {"embedded.died", "embedded.failed"} else log.info)(event, **about)

    try:
        async with embedded(options, on_event=tell) as server:
            yield server.url
    except EmbeddedError as error:
        raise DependencyDown(str(error)) from error


@asynccontextmanager
async def _publisher(settings: Settings, url: str, metrics: Metrics, health: Health) -> AsyncIterator[Publisher]:
    events = QueueEvents(metrics)
    redis = connect(url)
    publisher = Publisher(
        redis,
        Keys(prefix=settings.queue.prefix),
        settings.tiers.order,
        on_batch=events.batch,
        on_link=events.link,
    )
    health.add("queue", publisher.probe)
    await publisher.probe()  # away at the start: said now, and messages are deferred until it is there
    try:
        yield publisher
    finally:
        await publisher.close()
        await redis.aclose()
