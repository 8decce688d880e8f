"""Somebody's REST directory, which may be as odd as such things are."""

from urllib.parse import unquote

from aiohttp import web


class FakeHttpDirectory:
    """Answers `/customers?kind=…&value=…` and `/people/<value>` from `records`; `trouble`, where set, instead of it."""

    def __init__(self):
        self.url = ""
        self.records = {}
        self.tokens = set()
        self.paths = []
        self.trouble = None

    def app(self):
        app = web.Application()
        app.router.add_get("/customers", self._customers)
        app.router.add_get("/people/{value:.*}", self._person)
        return app

    async def _customers(self, request):
        self.paths.append(request.raw_path)
        if self.trouble:
            return await self.trouble(request)
        if self.tokens and request.headers.get("Authorization") not in self.tokens:
            return web.json_response(data={"error": "token"}, status=401)
        return web.json_response(data=self.records.get((request.query["kind"], request.query["value"]), []))

    async def _person(self, request):
        self.paths.append(request.raw_path)
        found = self.records.get(("email", unquote(request.raw_path.removeprefix("/people/"))))
        return web.json_response(data=found) if found else web.json_response(data={}, status=404)
