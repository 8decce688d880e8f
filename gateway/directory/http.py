"""Customers behind any REST interface: a URL for each address, and JMESPath from its answer to our fields."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import jmespath  # type: ignore[import-untyped]  # ships no types
import msgspec
from aiohttp import ClientSession
from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]  # ships no types
from yarl import URL

from gateway.directory import web
from gateway.directory.breaker import Nonsense, Unavailable
from gateway.directory.lookup import Question
from gateway.directory.matching import Known
from gateway.directory.options import HttpOptions, TierNames
from gateway.directory.records import Records, word
from normalizers.message import Address, Related

FIELDS = {
    "customer_id": "customer_id",
    "tier": "tier",
    "organization": "organization",
    "name": "name",
    "related": "",
    "address": "",
}
"""What a record may say, and the expression for it; the empty ones are not looked for unless they are given."""
_MOST_RECORDS = 100
_STEPS = (".", "..")
"""Would climb about in the path of the URL, and have no other spelling."""


def compile_expression(expression: str) -> "jmespath.parser.ParsedResult":
    """Raises ValueError for what is no JMESPath."""
    try:
        return jmespath.compile(expression)
    except JMESPathError:
        raise ValueError("is not a JMESPath expression") from None


class HttpAsker:
    """Asks for all exact addresses at once, which are few, and for one mail domain after the other."""

    def __init__(self, options: HttpOptions, names: TierNames, http: ClientSession) -> None:
        self._url, self._kinds = options.url, frozenset(options.kinds)
        self._header, self._scheme = options.header, options.scheme
        self._tokens = options.tokens
        self._token = 0
        self._list = compile_expression(options.records)
        expressions = FIELDS | dict(options.fields)
        self._fields = {field: compile_expression(text) for field, text in expressions.items() if text}
        self._records, self._http = Records(names, options.tiers), http

    async def ask(self, question: Question, /) -> Mapping[Address, Sequence[Known]]:
        """Domains only where no exact address names anybody. Raises Unavailable."""
        exact = [address for address in dict.fromkeys(question.exact) if address.kind in self._kinds]
        found = dict(zip(exact, await _together([self._one(address) for address in exact]), strict=True))
        if any(found.values()):
            return found
        for domain in dict.fromkeys(question.domains):
            if domain.kind in self._kinds and (known := await self._one(domain)):
                return {domain: known}
        return {}

    async def _one(self, address: Address) -> list[Known]:
        if address.value in _STEPS:
            return []
        # Encoded here, once: what a customer calls itself can leave no path segment and add no parameter.
        values = {"kind": quote(address.kind, safe=""), "value": quote(address.value, safe="")}
        text = self._url
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        answer = await self._fetch(URL(text, encoded=True))
        if answer.status == 404:
            return []
        if answer.status != 200:
            raise web.refused(answer)
        return [self._known(record) for record in self._listed(answer.body) if self._is_about(record, address)]

    async def _fetch(self, url: URL) -> web.Answer:
        """With the newest token that is not refused."""
        token = self._token
        answer = await web.fetch(self._http, url, headers=self._credentials())
        for _ in self._tokens[1:]:
            if answer.status != 401:
                break
            if self._token == token:  # else another question has changed it already
                self._token = (token + 1) % len(self._tokens)
            token = self._token
            answer = await web.fetch(self._http, url, headers=self._credentials())
        return answer

    def _credentials(self) -> dict[str, str]:
        return {self._header: f"{self._scheme} {self._tokens[self._token]}".strip()} if self._tokens else {}

    def _listed(self, body: object) -> list[object]:
        if body is None:
            raise Unavailable("an answer that is not JSON")
        records = _search(self._list, body)
        if records is None:
            return []
        listed = records if isinstance(records, list) else [records]
        if len(listed) > _MOST_RECORDS:
            raise Nonsense(f"an answer of more than {_MOST_RECORDS} records")
        if not all(isinstance(record, dict) for record in listed):
            raise Nonsense("an answer whose records are no objects")
        return listed

    def _is_about(self, record: object, address: Address) -> bool:
        """A directory that does not know a parameter may answer with somebody else."""
        expression = self._fields.get("address")
        if expression is None:
            return True
        said = _search(expression, record)
        values = said if isinstance(said, list) else [said]
        return any(isinstance(value, str) and value.strip().lower() == address.value.lower() for value in values)

    def _known(self, record: object) -> Known:
        said = {field: _search(expression, record) for field, expression in self._fields.items()}
        return self._records.known(
            customer_id=said["customer_id"],
            tier=said.get("tier"),
            organization=said.get("organization"),
            name=said.get("name"),
            related=_related(said.get("related")),
        )


async def _together(asking: Sequence[Coroutine[Any, Any, list[Known]]]) -> list[list[Known]]:
    """Each answer; the first that fails ends the others. Raises Unavailable."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in asking]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def _search(expression: "jmespath.parser.ParsedResult", value: object) -> object:
    try:
        found: object = expression.search(value)
    except (JMESPathError, RecursionError):
        raise Nonsense("an answer that the JMESPath does not fit") from None
    return found


def _related(said: object) -> list[Related]:
    """Records of other systems; what has not all three parts is none."""
    related = []
    for one in said if isinstance(said, list) else []:
        parts = [word(one.get(part), part) for part in ("system", "type", "id")] if isinstance(one, dict) else []
        if all(parts) and parts:
            related.append(msgspec.convert(dict(zip(("system", "type", "id"), parts, strict=True)), Related))
    return related
