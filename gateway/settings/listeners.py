"""Addresses that are listened on: which of them are taken twice, and which may be."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.api import ChannelSettings
from gateway.settings.file import ConfigProblem, KeyPath
from gateway.settings.sections import EVERYWHERE

if TYPE_CHECKING:  # it calls us
    from gateway.settings import Settings


@dataclass(frozen=True, kw_only=True)
class _Listener:
    path: KeyPath
    owner: str
    address: str
    inbox: ChannelSettings | None = None


def clashes(settings: "Settings", *, unknown: Collection[str | int]) -> Iterator[ConfigProblem]:
    """Two listeners on one address; the one further down the file is to blame. Skips sections not known."""
    listeners = sorted(_listeners(settings, unknown), key=lambda one: settings.source.locate(one.path))
    for number, listener in enumerate(listeners):
        faults: dict[KeyPath, ConfigProblem] = {}
        for earlier in listeners[:number]:
            if _same(listener.address, earlier.address):
                for path, what in _between(listener, earlier):
                    faults.setdefault(path, settings.source.problem(path, f"{what} of {earlier.owner}", "value"))
        yield from faults.values()


def shared(settings: "Settings") -> dict[str, ChannelSettings]:
    """The inboxes, each with what those that share its listener say about it."""
    together: dict[str, list[ChannelSettings]] = {}
    for one in _listeners(settings, ()):
        if one.inbox is not None and not one.address.endswith(":0"):
            together.setdefault(one.address, []).append(one.inbox)
    return {
        name: inbox.sharing(others) if len(others := _others(inbox, together)) > 1 else inbox
        for name, inbox in settings.channels.items()
    }


def _others(inbox: ChannelSettings, together: Mapping[str, list[ChannelSettings]]) -> list[ChannelSettings]:
    return together.get(getattr(inbox, "listen", None) or "", []) if inbox.enabled else []


def _listeners(settings: "Settings", unknown: Collection[str | int]) -> Iterator[_Listener]:
    if "http" not in unknown:
        http = settings.http
        yield _Listener(path=("http", "port"), owner="http", address=f"{http.host}:{http.port}")
    if settings.queue.url == "embedded" and not {"queue", "embedded"} & set(unknown):
        address = f"127.0.0.1:{settings.embedded.port}"
        yield _Listener(path=("embedded", "port"), owner="the embedded queue", address=address)
    for name, inbox in settings.channels.items():
        if inbox.enabled and isinstance(listen := getattr(inbox, "listen", None), str):
            path = ("channels", name, "listen")
            yield _Listener(path=path, owner=f"inbox {name!r}", address=listen, inbox=inbox)


def _between(one: _Listener, earlier: _Listener) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with two at the same address; nothing, if they are inboxes that share a listener."""
    apart = one.inbox.beside(earlier.inbox) if one.inbox and earlier.inbox else None
    if apart is None:
        yield one.path, f"{one.address} is already the address"
        return
    for key, what in apart:
        yield (*one.path[:-1], *key), f"on {one.address} {what}"


def _same(one: str, other: str) -> bool:
    (host, _, port), (other_host, _, other_port) = one.rpartition(":"), other.rpartition(":")
    everywhere = {host, other_host} & {"", *EVERYWHERE}
    return port == other_port != "0" and (host == other_host or bool(everywhere))
