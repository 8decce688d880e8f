"""The parts of a gateway, each from its settings and for as long as it is entered."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import structlog

from gateway.directory.build import Prepared, open_directory, prepare
from gateway.directory.in_order import InOrder
from gateway.directory.options import Callbacks, DirectoryError, TierNames
from gateway.events import DepthEvents, DirectoryEvents, QueueEvents, SpoolEvents, TallyEvents
from gateway.metrics import Metrics
from gateway.normalizing.pool import Limits, Normalizing
from gateway.objects import Objects, ObjectsUnavailable
from gateway.ownership import Owner, on_duty
from gateway.queue import durability
from gateway.queue.connection.deployment import Deployment, deployment
from gateway.queue.connection.waiting import wait_command
from gateway.queue.cursors import Cursors
from gateway.queue.embedded.embedded import EmbeddedError, EmbeddedOptions, embedded
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from gateway.queue.publisher import Publisher, publishing
from gateway.queue.spool.spool import Spool, SpoolLimits, open_spool
from gateway.queue.tally import Flushing, flushing
from gateway.queue.trimming import Trimming
from gateway.queue.watch import Watch
from gateway.scratch import scratch
from gateway.settings import Settings


class CannotStart(Exception):
    """Something the gateway needs is missing; the message says what to do."""


class Misconfigured(CannotStart):
    """The configuration, or a file it names, is wrong."""


class NoSuchInbox(CannotStart):
    """`only` names something that is not there."""


class DependencyDown(CannotStart):
    """It is a server or a store of ours that is missing."""


@asynccontextmanager
async def open_queue(settings: Settings) -> AsyncIterator[str]:
    """The URL of the queue, its server started where that is ours to do. Raises DependencyDown."""
    if settings.queue.url != "embedded":
        yield settings.queue.url
        return
    ours = settings.embedded
    options = EmbeddedOptions(dir=Path(ours.dir), port=ours.port, fsync=ours.fsync, max_memory=ours.max_memory)
    log = structlog.get_logger()

    def tell(event: str, about: Mapping[str, object]) -> None:
        (log.error if event in {"embedded.died", "embedded.failed"} else log.info)(event, **about)

    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(embedded(options, on_event=tell))
        except EmbeddedError as error:
            raise DependencyDown(str(error)) from error
        yield server.url


@asynccontextmanager
async def connected(settings: Settings, url: str) -> AsyncIterator[Deployment]:
    """The queue's deployment."""
    redis = deployment(url, timeout=settings.queue.timeout.total_seconds())
    try:
        yield redis
    finally:
        await redis.close()


def cursors(settings: Settings, redis: Deployment) -> Cursors:
    """How far every inbox that fetches has come."""
    first, *_ = partitions(settings.queue.prefix, settings.queue.partitions)
    return Cursors(redis, first, timeout=settings.queue.timeout.total_seconds())


@asynccontextmanager
async def tallying(settings: Settings, redis: Deployment, metrics: Metrics) -> AsyncIterator[None]:
    """Every process brings what it counts to Redis."""
    ours, events = settings.queue, TallyEvents()
    first, *_ = partitions(ours.prefix, ours.partitions)
    flush = Flushing(metrics.tally, redis, first, keep=ours.keep_stats)
    within = ours.timeout.total_seconds()
    async with flushing(flush, within=within, on_state=events.state, on_lost=events.lost):
        yield


@asynccontextmanager
async def spooling(settings: Settings, metrics: Metrics) -> AsyncIterator[Spool]:
    """The spool of this process. Raises DependencyDown."""
    events = SpoolEvents(metrics)
    opened = open_spool(
        settings.spool.dir,
        partitions=settings.queue.partitions,
        limits=SpoolLimits(max_bytes=settings.spool.max_bytes, min_free=settings.spool.min_free),
        on_added=events.added,
        on_event=events.told,
    )
    async with AsyncExitStack() as stack:
        try:
            spool = await stack.enter_async_context(opened)
        except QueueUnavailable as error:
            raise DependencyDown(f"spool.dir: {error}") from error
        yield spool


@asynccontextmanager
async def publishes(settings: Settings, redis: Deployment, spool: Spool, metrics: Metrics) -> AsyncIterator[Publisher]:
    """The publisher, and what drains the spool."""
    events, ours = QueueEvents(metrics), settings.queue
    timeout = ours.timeout.total_seconds()
    async with publishing(
        redis,
        partitions(ours.prefix, ours.partitions),
        settings.tiers.order,
        spool,
        timeout=timeout,
        wait=wait_command(ours.wait_replicas, ours.wait_fsync, timeout),
        on_batch=events.batch,
        on_link=events.link,
        on_poison=events.poisoned,
    ) as publisher:
        yield publisher


@asynccontextmanager
async def duties(settings: Settings, redis: Deployment, metrics: Metrics) -> AsyncIterator[None]:
    """What one process of a machine does for all: trimming, and looking at the depths."""
    ours, tiers = settings.queue, settings.tiers.order
    events = DepthEvents(metrics, tiers=tiers, stream_bound=ours.stream_bound, spool_max=settings.spool.max_bytes)
    keys = partitions(ours.prefix, ours.partitions)
    trimming = Trimming(
        redis,
        keys,
        tiers,
        every=ours.trim.total_seconds(),
        keep_dead=ours.keep_dead.total_seconds(),
        on_trimmed=events.trimmed,
        on_state=partial(events.duty, "trimming"),
    )
    watch = Watch(
        redis,
        keys,
        tiers,
        settings.spool.dir,
        on_depths=events.looked,
        on_spooled=events.waiting,
        on_state=events.duty,
    )
    async with on_duty(Owner(settings.spool.dir), trimming.run, watch.run):
        yield


async def check_durability(settings: Settings, redis: Deployment) -> None:
    """Say loudly what the server would lose of what we promise; raises Misconfigured where it would lose tickets."""
    ours = settings.queue
    try:
        found = await durability.check(
            redis,
            partitions(ours.prefix, ours.partitions),
            wait_replicas=ours.wait_replicas,
            wait_fsync=ours.wait_fsync,
        )
    except QueueUnavailable:
        return  # the spool takes over, and `doctor` asks again
    for finding in found:
        if finding.level == "failing":
            raise Misconfigured(f"the queue: {finding.what}. {finding.remedy}")
        if finding.level == "warning":
            structlog.get_logger().warning("durability.weakened", what=finding.what, remedy=finding.remedy)


def prepare_directory(settings: Settings) -> Prepared:
    """Every file of the directory is read, nothing is connected to. Raises Misconfigured."""
    tiers = TierNames(order=settings.tiers.order, default=settings.tiers.default)
    try:
        return prepare([source.options() for source in settings.directory], tiers)
    except DirectoryError as error:
        raise Misconfigured(str(error)) from error


@asynccontextmanager
async def directory(settings: Settings, prepared: Prepared, metrics: Metrics) -> AsyncIterator[InOrder]:
    """Who is asking: files are watched, servers asked."""
    events = DirectoryEvents(metrics, [name for name, _ in prepared.named])
    callbacks = Callbacks(
        on_lookup=events.looked_up, on_link=events.link, on_reload=events.reloaded, on_refuse=events.refused
    )
    async with open_directory(prepared, settings.lookup.limits(), callbacks) as opened:
        yield opened


def objects(settings: Settings, kind: type[Objects] = Objects) -> Objects:
    """The object store. Raises DependencyDown."""
    try:
        return kind.from_url(settings.objects.url, settings.objects.access)
    except ObjectsUnavailable as error:
        raise DependencyDown(f"objects.url: {error}") from error


def normalizing(settings: Settings, scratch: Path) -> Normalizing:
    """The workers for what is heavy."""
    ours = settings.normalizing
    limits = Limits(workers=ours.workers, timeout=ours.timeout.total_seconds(), memory=ours.memory)
    return Normalizing(scratch, limits)


@contextmanager
def scratching(settings: Settings) -> Iterator[Path]:
    """A directory for what is too large for memory, beside the spool. Raises DependencyDown."""
    with ExitStack() as stack:
        try:
            ours = stack.enter_context(scratch(Path(settings.spool.dir)))
        except OSError as error:
            raise DependencyDown(
                f"spool.dir: nothing can be written there ({os.strerror(error.errno or 0)})"
            ) from error
        yield ours
