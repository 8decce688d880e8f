"""The floor of a JSON route on this server: read the body, decode it, answer 202. Nothing is kept."""

import sys

import msgspec
import uvloop
from aiohttp import web


async def submit(request: web.Request) -> web.Response:
    msgspec.json.decode(await request.read())
    return web.json_response({"reference": "T-7K3M-9QXR"}, status=202)


async def app() -> web.Application:
    app = web.Application()
    app.router.add_post("/", submit)
    return app


if __name__ == "__main__":
    loop = uvloop.new_event_loop()
    web.run_app(app(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=loop)
