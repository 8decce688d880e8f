"""The HTTP front: every inbox's routes under its name, the operators' endpoints beside them."""

import errno
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager

import msgspec
import structlog
from aiohttp import web, web_response
from aiohttp.web_protocol import RequestHandler

from channels.answers import SERVER
from channels.problems import problem
from gateway.envelope import SCHEMA, json_schema
from gateway.health import Health
from gateway.metrics import Metrics

SORRY = "Something went wrong on our side. Please try again later."
DRAIN = 10.0
_BACKLOG = 1024
_MAX_BODY = 2**20
"""For an adapter that reads with `request.read()`; ours bound their bodies themselves, as their settings say."""


def build(
    inboxes: Mapping[str, Iterable[web.RouteDef]],
    *,
    health: Health,
    metrics: Metrics,
    more: Iterable[web.RouteDef] = (),
) -> web.Application:
    """The application; a handler's exception becomes a fixed 500 that says nothing of ours."""
    app = web.Application(client_max_size=_MAX_BODY)
    for inbox, routes in inboxes.items():
        app.add_routes(
            web.RouteDef(route.method, f"/channels/{inbox}{route.path}", route.handler, route.kwargs)
            for route in routes
        )
    app.add_routes(_operators(health, metrics))
    app.add_routes(more)
    app.router.add_route("*", "/{nowhere:.*}", _nowhere)
    return app


async def _nowhere(request: web.Request) -> web.Response:
    """404, or 405 where the path is ours but the method is not."""
    allowed: set[str] = set()
    for resource in list(request.app.router.resources())[:-1]:
        allowed |= (await resource.resolve(request))[1]
    if allowed:
        return problem(405, "This address does not take that method.", headers={"Allow": ", ".join(sorted(allowed))})
    return problem(404, "There is nothing at this address.")


def _fixed_error(
    self: RequestHandler,
    request: web.BaseRequest,
    status: int = 500,
    exc: BaseException | None = None,
    message: str | None = None,
) -> web.StreamResponse:
    """In place of aiohttp's own page, which quotes what it could not parse and the exception it met."""
    if status < 500:
        answer = problem(status, "The request cannot be understood.")
    else:
        answer = problem(500, SORRY)
        error = exc or sys.exc_info()[1]  # aiohttp keeps a TimeoutError of the handler to itself
        if not isinstance(error, ConnectionError):  # a client that hangs up in mid-body is nobody's failure
            structlog.get_logger().error("request.failed", route=_handler_name(request), error=type(error).__name__)
    answer.force_close()
    return answer


def _handler_name(request: web.BaseRequest) -> str:
    match = request.match_info if isinstance(request, web.Request) else None
    return "none" if match is None else getattr(match.handler, "__qualname__", "handler")


# The library offers no other way to say it.
RequestHandler.handle_error = _fixed_error  # type: ignore[method-assign]
setattr(web_response, "SERVER_SOFTWARE", SERVER)  # noqa: B010


@asynccontextmanager
async def listening(app: web.Application, door: socket.socket, *, max_header: int) -> AsyncIterator[None]:
    """Serve `app` while entered; leaving it, requests in hand are answered within `DRAIN` seconds."""
    runner = web.AppRunner(
        app,
        access_log=None,  # it halves throughput, and writes what customers put into URLs
        handle_signals=False,
        shutdown_timeout=DRAIN,
        max_line_size=max_header,
        max_field_size=max_header,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, door, backlog=_BACKLOG).start()
        yield
    finally:
        await runner.cleanup()


def reserve(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Take the address, before anything else is started. Raises OSError in an operator's words.

    A `shared` one other processes of ours listen on as well: connections come to it only once it is served.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as unless_bound:
            door = unless_bound.enter_context(socket.socket(family, kind, protocol))
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            door.bind(address)
            if not shared:
                door.listen(_BACKLOG)  # now, not when we are ready: two starts at once would both have bound it
            unless_bound.pop_all()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"{host}:{port} is taken: is another gateway running? Stop it, or set PORT") from error
        raise OSError(f"{host}:{port} cannot be listened on: {error.strerror}") from error
    return door


def url(host: str, port: int) -> str:
    """Where this machine finds the gateway."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _operators(health: Health, metrics: Metrics) -> list[web.RouteDef]:
    schema = msgspec.json.encode(json_schema())

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        ready, checks = await health.check()
        return web.json_response(
            {"status": "ok" if ready else "failing", "checks": checks}, status=200 if ready else 503
        )

    async def metrics_page(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def envelope_schema(_: web.Request) -> web.Response:
        return web.Response(body=schema, content_type="application/schema+json")

    return [
        web.get("/livez", livez),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics_page),
        web.get(f"/schemas/{SCHEMA}", envelope_schema),
    ]
