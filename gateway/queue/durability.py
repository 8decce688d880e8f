"""Does the server keep what it says yes to: asked of the server itself, before customers find out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.queue.connection.deployment import Deployment
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import Keys

Level = Literal["ok", "warning", "failing"]
OLDEST = (6, 2)
_WAITAOF = (7, 2)
"""Valkey 8 says that it is compatible with 7.2."""
_ASKED = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at; `remedy` is what to do, and empty where all is well."""

    level: Level
    what: str
    remedy: str = ""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says of itself; None is what it does not tell."""

    name: str
    version: tuple[int, ...]
    """Of Redis; a Valkey's is the one it is compatible with."""
    appendonly: bool | None = None
    appendfsync: str | None = None
    maxmemory: int | None = None
    policy: str | None = None
    replica: bool = False
    replicas: int = 0


async def check(
    deployment: Deployment, partitions: Sequence[Keys], *, wait_replicas: int = 0, wait_fsync: bool = False
) -> list[Finding]:
    """What every server of the partitions promises; `failing` is a reason not to start. Raises QueueUnavailable."""
    found: dict[Finding, None] = {}
    servers: dict[int, Redis] = {}
    try:
        for keys in partitions:
            redis = await deployment.server(keys.seen)
            if servers.setdefault(id(redis), redis) is redis:
                found |= dict.fromkeys(judge(await ask(redis), wait_replicas=wait_replicas, wait_fsync=wait_fsync))
    except (RedisError, OSError) as error:
        raise QueueUnavailable(type(error).__name__) from error
    return list(found)


async def ask(redis: Redis) -> Told:
    """By CONFIG GET, or by INFO where that is refused, as managed services do. Raises RedisError, OSError."""
    info = await _info(redis)
    settings = {name: str(info[key]) for name, key in _IN_INFO if key in info}
    try:
        for name in _ASKED:
            settings |= await _config(redis, name)
    except ResponseError:
        pass  # what INFO told remains
    version = str(info.get("redis_version", ""))
    valkey = info.get("valkey_version")
    return Told(
        name=f"Valkey {valkey}" if valkey else f"Redis {version}" if version else "the server",
        version=tuple(int(part) for part in version.split(".") if part.isdecimal()),
        appendonly=settings["appendonly"] in ("yes", "1") if "appendonly" in settings else None,
        appendfsync=settings.get("appendfsync"),
        maxmemory=int(settings["maxmemory"]) if "maxmemory" in settings else None,
        policy=settings.get("maxmemory-policy"),
        replica=info.get("role") == "slave",
        replicas=int(info.get("connected_slaves", 0)),
    )


_IN_INFO = (("appendonly", "aof_enabled"), ("maxmemory", "maxmemory"), ("maxmemory-policy", "maxmemory_policy"))


async def _info(redis: Redis) -> Mapping[str, str | int]:
    try:
        found: Mapping[str, str | int] = await redis.info()
    except ResponseError:  # a user without the right to ask
        return {}
    return found


async def _config(redis: Redis, name: str) -> dict[str, str]:
    # One at a time: several in one call are refused before Redis 7. Services answer with nothing for what they hide.
    answer = await redis.config_get(name)
    return {str(key): str(value) for key, value in answer.items()}


def judge(told: Told, *, wait_replicas: int = 0, wait_fsync: bool = False) -> list[Finding]:
    """What its answers mean for messages that were answered with yes."""
    faults = [
        *_version(told, wait_fsync),
        *_eviction(told),
        *_fsync(told, wait_fsync),
        *_replication(told, wait_replicas),
    ]
    return faults or [Finding(level="ok", what=f"{told.name} fsyncs what it says yes to, and evicts nothing")]


def _version(told: Told, wait_fsync: bool) -> Iterator[Finding]:
    if told.version and told.version < OLDEST:
        yield _failing(f"{told.name} is too old", "use Redis 6.2 or newer, or Valkey")
    elif told.version and told.version < _WAITAOF and wait_fsync:
        what = f"{told.name} has no WAITAOF, which queue.wait_fsync asks for: every message would wait in the spool"
        yield _failing(what, "use Redis 7.2 or Valkey 8 and newer, or appendfsync always without queue.wait_fsync")


def _eviction(told: Told) -> Iterator[Finding]:
    policy = told.policy or ""
    remedy = "set maxmemory-policy noeviction on the server"
    if policy.startswith("allkeys") and told.maxmemory:
        yield _failing(f"{told.name} evicts unread tickets when its memory is full (maxmemory-policy {policy})", remedy)
    elif policy.startswith("allkeys"):
        yield _warning(f"{told.name} would evict unread tickets if it got a maxmemory ({policy})", remedy)
    elif policy.startswith("volatile") and told.maxmemory:
        what = f"maxmemory-policy is {policy}: no ticket is evicted, because only the counts of the report expire"
        yield _warning(f"{what}; those, and other programs' keys on {told.name}, are", remedy)
    elif told.policy is None:
        yield _warning(f"{told.name} does not tell whether it evicts", "make sure that maxmemory-policy is noeviction")


def _fsync(told: Told, wait_fsync: bool) -> Iterator[Finding]:
    always = "set appendfsync always on the server (embedded.fsync of the embedded one), or queue.wait_fsync: true"
    if told.appendonly is False and wait_fsync:
        what = f"{told.name} keeps no append-only file, which queue.wait_fsync needs"
        yield _failing(f"{what}: every message would wait in the spool", "set appendonly yes on the server")
    elif told.appendonly is False:
        what = f"{told.name} keeps no append-only file: when it stops, it forgets all that came after its last snapshot"
        yield _warning(what, "set appendonly yes and appendfsync always on the server")
    elif wait_fsync:
        return
    elif told.appendonly is None:
        yield _warning(f"{told.name} does not tell whether it keeps an append-only file", "make sure that it does")
    elif told.appendfsync is None:
        yield _warning(f"{told.name} does not tell how often it fsyncs: a power cut may lose its last second", always)
    elif told.appendfsync == "everysec":
        yield _warning(f"{told.name} fsyncs once a second: a power cut loses up to two seconds of messages", always)
    elif told.appendfsync != "always":
        yield _warning(
            f"{told.name} leaves fsync to the kernel: a power cut may lose half a minute of messages", always
        )


def _replication(told: Told, wait_replicas: int) -> Iterator[Finding]:
    if told.replica:
        what = f"{told.name} is a replica: it takes no writes, or forgets them"
        yield _warning(what, "let queue.url name the primary, or the sentinels that know it")
    elif told.replicas < wait_replicas:
        what = f"{told.name} has {told.replicas} replicas, and queue.wait_replicas is {wait_replicas}"
        yield _warning(
            f"{what}: every message waits in the spool", "bring the replicas back, or lower queue.wait_replicas"
        )


def _failing(what: str, remedy: str) -> Finding:
    return Finding(level="failing", what=what, remedy=remedy)


def _warning(what: str, remedy: str) -> Finding:
    return Finding(level="warning", what=what, remedy=remedy)
