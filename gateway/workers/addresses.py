"""Addresses that every worker listens on and nobody else may: held by the supervisor, which listens on none."""

import errno
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from channels.api import ChannelSettings
from gateway import http
from gateway.app import CannotStart, Misconfigured
from gateway.settings.sections import Http


@contextmanager
def held(web: Http, inboxes: Mapping[str, ChannelSettings]) -> Iterator[int]:
    """Keep every address for sockets of this user with SO_REUSEPORT; the port of the web, chosen where it was 0.

    Raises CannotStart where another process has one, Misconfigured where the workers could not share it.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise Misconfigured("--workers: this system has no SO_REUSEPORT, by which workers share an address: run one")
    with ExitStack() as stack:
        try:
            door = stack.enter_context(_hold(http.reserve(web.host, web.port)))
        except OSError as error:
            raise CannotStart(str(error)) from error
        listening: dict[str, str] = {}
        for name, inbox in inboxes.items():
            # By the same name as in the settings' own search for two listeners on one address.
            if isinstance(listen := getattr(inbox, "listen", None), str):
                listening.setdefault(listen, name)  # inboxes that share a listener name it alike
        for listen, name in listening.items():
            _hold_inbox(name, listen, stack)
        yield door.getsockname()[1]


def _hold_inbox(name: str, listen: str, stack: ExitStack) -> None:
    host, _, port = listen.rpartition(":")
    if port == "0":
        raise Misconfigured(f"inbox {name}: listen: every worker would take another free port: name one")
    try:
        for family, kind, protocol, _, address in _resolved(host.strip("[]"), int(port)):
            stack.enter_context(_hold(_claim(family, kind, protocol, address)))
    except OSError as error:
        why = f"cannot be listened on: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            why = "is taken: another program listens there"
        raise CannotStart(f"inbox {name}: {listen} {why}") from error


def _resolved(host: str, port: int) -> Iterable[tuple[int, int, int, str, Any]]:
    """Every address an event loop would listen on."""
    return dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))


def _claim(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    claim = socket.socket(family, kind, protocol)
    try:
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # as an event loop binds it
            claim.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        claim.bind(address)
        claim.listen()
    except OSError:
        claim.close()
        raise
    return claim


def _hold(claim: socket.socket) -> socket.socket:
    """Exchange a socket that has its address alone for one that shares it, without a moment of nobody's."""
    with claim:
        holder = socket.socket(claim.family, claim.type, claim.proto)
        try:
            if claim.family == socket.AF_INET6:
                alone = claim.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, alone)
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(claim.getsockname())
            # With it Linux lets others that reuse addresses bind one on which nobody listens yet.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        except OSError:
            holder.close()
            raise
    return holder
