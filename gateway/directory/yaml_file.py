"""Customers in YAML, for files that people write: each customer once, with all their addresses."""

import csv
import io
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.directory.cells import COLUMNS, REQUIRED
from gateway.directory.options import DirectoryError

MAX_BYTES = 8 * 2**20
"""Past this YAML takes minutes to read, and CSV seconds."""
_MANY = {"emails": "email", "domains": "domain", "phones": "phone", "twitter": "twitter", "slack": "slack_user"}
_NULL = ("", "~", "null", "Null", "NULL")


def to_csv(path: Path, text: bytes) -> tuple[bytes, list[int]]:
    """The same customers as CSV, one address of a kind in a row, and the line each row comes from."""
    if len(text) > MAX_BYTES:
        raise DirectoryError([f"{path}: is larger than {MAX_BYTES >> 20} MiB: put so many customers into a CSV file"])
    try:
        root = YAML(typ="rt", pure=True).compose(text.decode())
    except (YAMLError, RecursionError) as error:
        mark = (error.problem_mark or error.context_mark) if isinstance(error, MarkedYAMLError) else None
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        raise DirectoryError([f"{where}: cannot be read as YAML"]) from error
    reading = _Reading(path)
    out = io.StringIO(newline="")
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    lines: list[int] = []
    for line, row in reading.rows(root):
        rows.writerow([row.get(column, "") for column in COLUMNS])
        lines.append(line)
    if reading.faults:
        raise DirectoryError(reading.faults)
    return out.getvalue().encode(), lines


class _Reading:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.faults: list[str] = []
        self._budget = MAX_BYTES
        """An alias repeats a list for five letters: what comes out may not be larger than what may go in."""

    def rows(self, root: Node | None) -> Iterator[tuple[int, dict[str, str]]]:
        for key, customers in self._pairs(root, "must be a mapping with the key customers"):
            if key != "customers":
                self._blame(customers, f"{key}: unknown key; known here: customers")
            elif customers.value not in _NULL:
                for customer in self._items(customers, "customers"):
                    for row in self._customer(customer):
                        yield customer.start_mark.line + 1, row

    def _customer(self, node: Node) -> Iterator[dict[str, str]]:
        once: dict[str, str] = {}
        many: dict[str, list[str]] = {}
        for key, value in self._pairs(node, "must be a mapping with customer_id and tier"):
            if key in once or _MANY.get(key) in many:
                self._blame(value, f"{key}: stands twice")
            elif key in _MANY:
                items = self._items(value, key) if isinstance(value, SequenceNode) else [value]
                many[_MANY[key]] = [word for item in items if (word := self._word(item, key))]
            elif key in COLUMNS:
                once[key] = self._word(value, key)
            else:
                known = ", ".join((*(c for c in COLUMNS if not c.startswith("slack")), *_MANY))
                self._blame(value, f"{key}: unknown key; known here: {known}")
        for key in REQUIRED:
            if key not in once:
                self._blame(node, f"{key}: is missing")
        if "slack_user" in many:
            pairs = [word.partition("/") for word in many["slack_user"]]
            many["slack_team"] = [team for team, _, _ in pairs]
            many["slack_user"] = [user for _, _, user in pairs]
        columns, values = list(many), zip_longest(*many.values(), fillvalue="")
        addresses = [{c: v for c, v in zip(columns, row, strict=True) if v} for row in values] or [{}]
        for extra in addresses:
            self._budget -= sum(map(len, (*once.values(), *extra.values())))
            if self._budget < 0:
                raise DirectoryError([f"{self._path}: is too large with its aliases written out"])
            yield once | extra

    def _pairs(self, node: Node | None, otherwise: str) -> Iterator[tuple[str, Node]]:
        if not isinstance(node, MappingNode):
            self._blame(node, otherwise)
            return
        for key, value in node.value:
            yield str(key.value) if isinstance(key, ScalarNode) else "?", value

    def _items(self, node: Node, key: str) -> list[Node]:
        if isinstance(node, SequenceNode):
            return list(node.value)
        self._blame(node, f"{key}: must be a list")
        return []

    def _word(self, node: Node, key: str) -> str:
        """A scalar as it is written: `01012345678` keeps its zero and `+82…` its plus."""
        if isinstance(node, ScalarNode):
            word = str(node.value).strip()
            return "" if word in _NULL and node.style is None else word
        self._blame(node, f"{key}: must be text")
        return ""

    def _blame(self, node: Node | None, what: str) -> None:
        self.faults.append(f"{self._path}:{node.start_mark.line + 1 if node else 1}: {what}")
