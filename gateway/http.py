"""The HTTP front: every inbox's routes under its name, the operators' endpoints beside them."""

import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from aiohttp import web, web_response
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from channels.problems import problem
from gateway.envelope import SCHEMA, json_schema
from gateway.health import Health
from gateway.metrics import Metrics

SORRY = "Something went wrong on our side. Please try again later."
DRAIN = 10.0
_BACKLOG = 1024
_MAX_BODY = 2**20
"""For an adapter that reads with `request.read()`; ours bound their bodies themselves, as their settings say."""


def build(inboxes: Mapping[str, Iterable[web.RouteDef]], *, health: Health, metrics: Metrics) -> web.Application:
    """The application; a handler's exception becomes a fixed 500 that says nothing of ours."""
    app = web.Application(client_max_size=_MAX_BODY)
    for inbox, routes in inboxes.items():
        app.add_routes(
            web.RouteDef(route.method, f"/channels/{inbox}{route.path}", _guarded(route.handler), route.kwargs)
            for route in routes
        )
    app.add_routes(_operators(health, metrics))
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
    answer = problem(status, "The request cannot be understood." if status < 500 else SORRY)
    answer.force_close()
    return answer


# The library offers no other way to say it.
RequestHandler.handle_error = _fixed_error  # type: ignore[method-assign]
setattr(web_response, "SERVER_SOFTWARE", "gateway")  # noqa: B010


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


def reserve(host: str, port: int) -> socket.socket:
    """Take the address, before anything else is started. Raises OSError in an operator's words."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        door = socket.socket(family, kind, protocol)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
        door.listen(_BACKLOG)  # now, not when we are ready: two starts at once would both have bound it
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


def _guarded(handler: Any) -> Handler:
    call: Callable[[web.Request], Awaitable[web.StreamResponse]] = handler

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await call(request)
        except (web.HTTPException, ConnectionError):  # a client that hangs up in mid-body is nobody's failure
            raise
        except Exception as error:
            structlog.get_logger().error(
                "request.failed",
                route=request.match_info.route.handler.__qualname__,
                error=type(error).__name__,
            )
            return problem(500, SORRY)

    guarded.__qualname__ = getattr(handler, "__qualname__", "handler")
    return guarded
