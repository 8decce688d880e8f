"""Salesforce as far as the directory asks it: a login, and queries that it reads with a SOQL grammar of its own."""

import re
from urllib.parse import urlsplit

from aiohttp import web

_TOKEN = re.compile(r"\s*(?:'((?:[^'\\\n\r]|\\[\\'\"nrtbfuNRTBF_%])*)'|([A-Za-z_][\w.]*)|([(),=])|(\d+))")
_UNESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class MalformedQuery(Exception):
    pass


def tokens(query):
    """Strings as ("text", value), everything else as ("word", value). Raises MalformedQuery."""
    place, found = 0, []
    query = query.rstrip()
    while place < len(query):
        match = _TOKEN.match(query, place)
        if match is None:
            raise MalformedQuery(query[place : place + 20])
        if match[1] is not None:
            found.append(("text", re.sub(r"\\(.)", lambda m: _UNESCAPED.get(m[1].lower(), m[1]), match[1])))
        else:
            found.append(("word", match[2] or match[3] or match[4]))
        place = match.end()
    return found


class FakeSalesforce:
    """Its records are plain; `trouble`, where set, answers instead of them."""

    def __init__(self):
        self.url = ""
        self.contacts, self.accounts, self.roles = [], [], {}
        self.secrets = ["s3cret"]
        self.valid = set()
        self.logins, self.queries = [], []
        self.trouble = None
        self.login_trouble = None

    def app(self):
        app = web.Application()
        app.router.add_post("/services/oauth2/token", self._login)
        app.router.add_get("/services/data/{version}/query", self._query)
        return app

    def contact(self, id, name="", account=None, **fields):
        self.contacts.append({"Id": id, "Name": name, "AccountId": account, **fields})

    def account(self, id, name, **fields):
        self.accounts.append({"Id": id, "Name": name, **fields})

    async def _login(self, request):
        form = await request.post()
        self.logins.append(dict(form))
        if self.login_trouble:
            return await self.login_trouble(request)
        if form["client_secret"] not in self.secrets or form["grant_type"] != "client_credentials":
            return web.json_response({"error": "invalid_client", "error_description": "invalid client"}, status=400)
        token = f"token-{len(self.logins)}"
        self.valid.add(token)
        return web.json_response(
            {"access_token": token, "instance_url": "https://elsewhere.example", "token_type": "Bearer"}
        )

    async def _query(self, request):
        query = request.query["q"]
        self.queries.append(query)
        if self.trouble:
            return await self.trouble(request)
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.valid:
            return self.refuse("INVALID_SESSION_ID", 401)
        assert urlsplit(str(request.url)).path.startswith("/services/data/v")
        try:
            records = self._records(tokens(query))
        except MalformedQuery:
            return self.refuse("MALFORMED_QUERY", 400)
        return web.json_response({"totalSize": len(records), "done": True, "records": records})

    @staticmethod
    def refuse(code, status):
        """What Salesforce says quotes the question."""
        return web.json_response(data=[{"errorCode": code, "message": "minsu@acme.example"}], status=status)

    def _records(self, found):
        words = [value.upper() if kind == "word" else None for kind, value in found]
        start = len(words) - 1 - words[::-1].index("FROM")
        source = found[start + 1][1]
        where = words.index("WHERE", start)
        end = words.index("ORDER", where)
        limit = int(found[words.index("LIMIT", end) + 1][1])
        conditions = list(self._conditions(found[where + 1 : end]))
        table = self.contacts if source == "Contact" else self.accounts
        hits = [one for one in table if any(_same(one.get(field), values) for field, values in conditions)]
        hits = sorted(hits, key=lambda one: one["Id"])[:limit]
        return [self._shown(one) for one in hits] if source == "Contact" else hits

    @staticmethod
    def _conditions(found):
        """`Field IN ('a', 'b') OR Field IN ('c')`, and nothing else."""
        place = 0
        while place < len(found):
            (_, field), operator, opened = found[place : place + 3]
            if operator != ("word", "IN") or opened != ("word", "("):
                raise MalformedQuery(field)
            close = found.index(("word", ")"), place)
            listed = found[place + 3 : close]
            if any(kind != ("text" if number % 2 == 0 else "word") for number, (kind, _) in enumerate(listed)):
                raise MalformedQuery(field)
            yield field, [value for kind, value in listed if kind == "text"]
            if close + 1 < len(found) and found[close + 1] != ("word", "OR"):
                raise MalformedQuery(field)
            place = close + 2

    def _shown(self, contact):
        account = next((one for one in self.accounts if one["Id"] == contact["AccountId"]), None)
        roles = [{"OpportunityId": id} for id in self.roles.get(contact["Id"], [])]
        shown = {"totalSize": len(roles), "done": True, "records": roles} if roles else None
        return {**contact, "Account": account, "OpportunityContactRoles": shown}


def _same(value, values):
    return isinstance(value, str) and value.lower() in {one.lower() for one in values}
