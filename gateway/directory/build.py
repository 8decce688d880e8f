"""A directory from its options: read and checked first, connected to nothing, then opened for as long as it is used."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession

from gateway.directory import http, redis, soql, web
from gateway.directory.file import FileSource
from gateway.directory.in_order import InOrder
from gateway.directory.lookup import Source
from gateway.directory.options import (
    Callbacks,
    DirectoryError,
    FileOptions,
    HttpOptions,
    Limits,
    RedisOptions,
    RemoteOptions,
    SalesforceOptions,
    SourceOptions,
    TierNames,
)
from gateway.directory.remote import Asker, RemoteSource
from gateway.directory.watching import watching

_WORDS = {FileOptions: "file", RedisOptions: "redis", HttpOptions: "http", SalesforceOptions: "salesforce"}


@dataclass(frozen=True)
class Prepared:
    """What `prepare` found in order; `notes` says what is odd about it, `exposed` which of that is read by others."""

    tiers: TierNames
    named: Sequence[tuple[str, SourceOptions]]
    files: Sequence[FileSource]
    notes: Sequence[str]
    exposed: Sequence[str] = ()


def prepare(options: Sequence[SourceOptions], tiers: TierNames) -> Prepared:
    """Load every file and check every other source without connecting to it. Raises DirectoryError with every fault."""
    named = [*zip(_names(options), options, strict=True)]
    files: list[FileSource] = []
    faults: list[str] = []
    for number, (name, source) in enumerate(named):
        if any(name == other for other, _ in named[:number]):
            faults.append(f"directory.{number}.name: {name!r} is the name of an earlier source")
        if isinstance(source, FileOptions):
            try:
                files.append(FileSource(source, name=name, tiers=tiers.order))
            except DirectoryError as error:
                faults += error.faults
        else:
            faults += [f"directory.{number}.{fault}" for fault in _faults(source, tiers)]
    if faults:
        raise DirectoryError(faults)
    exposed = [
        f"directory.{number}.url: addresses of customers cross the network in the clear"
        for number, source in enumerate(options)
        if isinstance(source, HttpOptions) and source.exposed
    ]
    return Prepared(tiers, named, files, [*(note for file in files for note in file.notes), *exposed], exposed)


@asynccontextmanager
async def open_directory(
    prepared: Prepared, limits: Limits | None = None, callbacks: Callbacks | None = None
) -> AsyncIterator[InOrder]:
    """The directory, while entered: files are watched, other sources connect with the first question to them."""
    limits, callbacks = limits or Limits(), callbacks or Callbacks()
    async with AsyncExitStack() as stack:
        session: ClientSession | None = None
        sources: list[Source] = []
        files = iter(prepared.files)
        for name, options in prepared.named:
            if isinstance(options, FileOptions):
                file = next(files)
                file.callbacks = callbacks
                await stack.enter_async_context(watching(file))
                sources.append(file)
                continue
            asker: Asker
            if isinstance(options, RedisOptions):
                asker = await stack.enter_async_context(redis.opened(options, prepared.tiers))
            else:
                if session is None:
                    session = await stack.enter_async_context(web.session())
                asker = _web_asker(options, prepared.tiers, session)
            source = RemoteSource(name, asker, timeout=options.timeout, limits=limits, callbacks=callbacks)
            await stack.enter_async_context(source.lifespan())
            sources.append(source)
        yield InOrder(sources, budget=limits.budget)


def _web_asker(options: HttpOptions | SalesforceOptions, tiers: TierNames, session: ClientSession) -> Asker:
    if isinstance(options, HttpOptions):
        return http.HttpAsker(options, tiers, session)
    from gateway.directory.salesforce import SalesforceAsker  # it brings the phone number tables

    return SalesforceAsker(options, tiers, session)


def _names(options: Sequence[SourceOptions]) -> Iterator[str]:
    """As configured, else the type; the second of a type that has no name is `file-2`."""
    count: dict[str, int] = {}
    for source in options:
        word = _WORDS[type(source)]
        if source.name:
            yield source.name
        else:
            count[word] = count.get(word, 0) + 1
            yield word if count[word] == 1 else f"{word}-{count[word]}"


def _faults(options: RemoteOptions, tiers: TierNames) -> Iterator[str]:
    for theirs, ours in options.tiers.items():
        if ours not in tiers.order:
            yield f"tiers.{theirs}: must be one of tiers.order: {', '.join(tiers.order)}"
    if isinstance(options, RedisOptions):
        try:
            redis.check_url(options)
        except ValueError as error:
            yield f"url: {error}"
    elif isinstance(options, HttpOptions):
        for key, expression in (("records", options.records), *((f"fields.{k}", v) for k, v in options.fields.items())):
            try:
                http.compile_expression(expression)
            except ValueError as error:
                yield f"{key}: {error}"
    elif isinstance(options, SalesforceOptions):
        names = [name for fields in options.contact_fields.values() for name in fields]
        for name in (options.tier_field, options.customer_field, *filter(None, [options.domain_field]), *names):
            try:
                soql.field(name)
            except ValueError as error:
                yield f"{name}: {error}"
