"""What a queue's URL says, and what of it may be shown."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import RedisError

Node = tuple[str, int]

PORTS = {"": 6379, "cluster": 6379, "sentinel": 26379}
_SCHEME = re.compile(r"(unix|rediss?(\+(cluster|sentinel))?)://", re.ASCII)
_PLACES = re.compile(r"[\w.,:%\[\]-]*(/[\w.-]*)*", re.ASCII)
_LOGIN = ("username", "password")
_SENTINEL_LOGIN = ("sentinel_username", "sentinel_password")
_TLS = (
    *("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"),
    *("ssl_cert_reqs", "ssl_check_hostname", "ssl_ciphers"),
)
# The client knows many more: some would send a write again whose answer was lost, or wait longer than anybody may.
_OPTIONS = ("db", *_LOGIN, *_SENTINEL_LOGIN, *_TLS)
_ENCODED = "letters such as / ? # @ in a user or password must be percent-encoded: %2F %3F %23 %40"
_NO_DATABASES = "a cluster has no databases to choose from"


@dataclass(frozen=True, kw_only=True)
class Address:
    """A URL taken apart; `options` are arguments of the client's connection pools, user and password among them."""

    kind: str
    """"" for a single server, cluster or sentinel."""
    nodes: tuple[Node, ...]
    """Servers, or sentinels; none of a unix socket."""
    master: str = ""
    options: Mapping[str, Any] = field(repr=False)
    sentinel_login: Mapping[str, str] = field(repr=False)


def parse(url: str) -> Address:
    """Take a URL apart. Raises ValueError, which quotes nothing of it."""
    found = _SCHEME.match(url)
    if not found:
        raise ValueError("the scheme of the URL is not known")
    kind = found[3] or ""
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(_ENCODED if "@" in url.partition("?")[2] else "the URL cannot be read") from None
    options = dict(given)
    sentinel_login = {name: options.pop(name) for name in _SENTINEL_LOGIN if kind == "sentinel" and name in options}
    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{_option(name, parts.query)} stands twice")
        if name not in _OPTIONS or name in options.keys() & set(_SENTINEL_LOGIN):
            raise ValueError(f"{_option(name, parts.query)} is not known; there are {', '.join(_OPTIONS)}")
    if kind == "cluster" and "db" in options:
        raise ValueError(_NO_DATABASES)
    nodes = _nodes(parts, kind)
    master, database = _path(parts, kind) if nodes else ("", "")
    return Address(
        kind=kind,
        nodes=nodes,
        master=master,
        options=_understood(parts, nodes, database, options),
        sentinel_login={name.removeprefix("sentinel_"): value for name, value in sentinel_login.items()},
    )


def mask(url: str) -> str:
    """The URL without user, password and options: fit for a screen or a log."""
    if url == "embedded":
        return url
    found = _SCHEME.match(url)
    if not found:
        return "…"
    place, _, options = url[found.end() :].partition("?")
    place = place.rpartition("@")[2]
    # A password that should have been percent-encoded may reach beyond any of these letters.
    known = place.startswith("/") if found[1] == "unix" else _numbered(place)
    return found[0] + (place if known and _PLACES.fullmatch(place) and "@" not in options else "…")


def _nodes(parts: SplitResult, kind: str) -> tuple[Node, ...]:
    places = parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        if places or not parts.path.strip("/"):
            raise ValueError("the socket must be an absolute path: unix:///run/valkey.sock")
        return ()
    if "@" in parts.path or parts.fragment:
        raise ValueError(_ENCODED)
    nodes = tuple(_node(place, kind) for place in places.split(","))
    if not kind and len(nodes) > 1:
        raise ValueError("one server has one host: several are redis+cluster:// or redis+sentinel://")
    return nodes


def _path(parts: SplitResult, kind: str) -> tuple[str, str]:
    """The name of the master, and the number of the database."""
    path = parts.path.strip("/")
    master, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
    if kind == "sentinel" and not master:
        raise ValueError("must name the master: redis+sentinel://host1,host2/mymaster")
    if kind == "cluster" and database:
        raise ValueError(_NO_DATABASES)
    if not re.fullmatch(r"[0-9]*", database):
        raise ValueError("what follows the host must be the number of a database")
    return unquote(master), database


def _node(place: str, kind: str) -> Node:
    bare = place.strip()
    host, port = (bare, "") if bare.endswith("]") or ":" not in bare else bare.rsplit(":", 1)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address must stand in brackets")
    if not host:
        raise ValueError("a host is missing")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise ValueError("the port must be a number from 1 to 65535")
    return unquote(host), int(port or PORTS[kind])


def _option(name: str, query: str) -> str:
    """Its name, unless that may be the end of a password that should have been percent-encoded."""
    named = "@" not in query and re.fullmatch(r"[a-z_]{1,40}", name)
    return f"the option {name} of the URL" if named else "an option of the URL"


def _numbered(place: str) -> bool:
    try:
        return all(_node(one, "") for one in place.partition("/")[0].split(","))
    except ValueError:
        return False


def _understood(
    parts: SplitResult, nodes: tuple[Node, ...], database: str, options: Mapping[str, str]
) -> Mapping[str, Any]:
    """The client's own reading of user, password, database and options."""
    login, at, _ = parts.netloc.rpartition("@")
    scheme = parts.scheme.partition("+")[0]
    place = f"host/{database}" if nodes else parts.path
    query = f"?{urlencode(options)}" if options else ""
    try:
        read = dict(parse_url(f"{scheme}://{login}{at}{place}{query}"))
        read.pop("host", None)
        read.setdefault("connection_class", Connection)
        make = cast("Callable[..., AbstractConnection]", read["connection_class"])
        make(**{name: value for name, value in read.items() if name != "connection_class"})  # misfits are said now
    except (TypeError, ValueError, RedisError):
        raise ValueError("an option of the URL has a value that is not known, or needs rediss://") from None
    return read
