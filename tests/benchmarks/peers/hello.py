"""A bare aiohttp hello: the most any handler on this server can do."""

import sys

import uvloop
from aiohttp import web


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    return app


if __name__ == "__main__":
    loop = uvloop.new_event_loop()
    web.run_app(app(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=loop)
