"""YAML 1.2 in: plain values, where each of them stands, and what is wrong with the file as such."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.settings.variables import substitute

KeyPath: TypeAlias = tuple[str | int, ...]
Position: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""

_MAX_BYTES = 2**20
_MAX_ALIASES = 100
_TAG = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"[-+]?[0-9]{1,30}|0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")
_WORDS: Mapping[str, bool | None] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)


@dataclass(frozen=True, kw_only=True)
class ConfigProblem:
    """One thing wrong with, or worth knowing about, a configuration; never quotes a secret."""

    file: str
    position: Position | None
    key: str
    what: str

    def __str__(self) -> str:
        where = ":".join([self.file, *map(str, self.position or ())])
        return ": ".join(filter(None, (where, self.key, self.what)))


class ConfigError(Exception):
    """Everything wrong with a configuration, in the order of its lines."""

    def __init__(self, errors: Iterable[ConfigProblem]) -> None:
        self.errors = tuple(sorted(dict.fromkeys(errors), key=lambda error: error.position or (0, 0)))
        super().__init__("\n".join(map(str, self.errors)))


class Source:
    """Where every key of a file stands; empty for settings that came from no file."""

    def __init__(self, file: str = "") -> None:
        self.file = file
        self.problems: list[ConfigProblem] = []
        self.broken: set[KeyPath] = set()
        """Values that could not be read: what a model says about them is noise."""
        self.secrets: dict[KeyPath, list[tuple[str, str]]] = {}
        self._places: dict[KeyPath, tuple[Position, Position]] = {}

    def __contains__(self, path: object) -> bool:
        """Whether the file sets this key."""
        return path in self._places

    def place(self, path: KeyPath, key: Position, value: Position) -> None:
        self._places[path] = (key, value)

    def locate(self, path: KeyPath, at: Literal["key", "value"] = "key") -> Position:
        """Where the key (or its value) stands; for what the file does not set, the section that could."""
        for end in range(len(path), 0, -1):
            if (found := self._places.get(path[:end])) is not None:
                return found[at == "value" and end == len(path)]
        return (1, 1)

    def problem(self, path: KeyPath, what: str, at: Literal["key", "value"] = "key") -> ConfigProblem:
        return self.problem_at(self.locate(path, at), path, what)

    def problem_at(self, position: Position | None, path: KeyPath, what: str) -> ConfigProblem:
        return ConfigProblem(file=self.file, position=position, key=".".join(str(step) for step in path), what=what)


def read(path: Path, environ: Mapping[str, str]) -> tuple[Source, dict[str, object]]:
    """The sections of a file. Raises ConfigError where it has none; lesser faults are `source.problems`."""
    source = Source(str(path))
    text = _text(path, source)
    try:
        node = YAML(typ="rt", pure=True).compose(text)
        data = None if node is None else _Reader(source, text, environ).value(node, ())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = text.splitlines()[mark.line : mark.line + 1] if mark else []
        raise _refused(source, _syntax(error, "".join(line)), _position(mark) if mark else (1, 1)) from None
    except RecursionError:
        raise _refused(source, "is nested too deeply", (1, 1)) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise _refused(source, "must be a mapping of sections (http:, queue:, channels: …)", (1, 1))
    return source, data


def _text(path: Path, source: Source) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _refused(source, "not found") from None
    except OSError as error:
        raise _refused(source, f"cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise _refused(source, "is larger than 1 MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(source, "is not UTF-8 text", (content.count(b"\n", 0, error.start) + 1, 1)) from None
    if bad := _UNPRINTABLE.search(text):
        raise _refused(source, "holds a control character", _offset(text, bad.start()))
    return text


def _refused(source: Source, what: str, position: Position | None = None) -> ConfigError:
    return ConfigError([source.problem_at(position, (), what)])


def _syntax(error: MarkedYAMLError, line: str) -> str:
    """The library's words without what they quote, which may be a secret."""
    problem = str(error.problem or error.context or "")
    if "undefined alias" in problem:
        return "a value that begins with * is a YAML alias: put it in quotes"
    if "tag handle" in problem:
        return "a value that begins with ! is a YAML tag: put it in quotes"
    if r"'\t'" in problem:
        return "is not valid YAML: indent with spaces, not with a tab"
    if "another document" in problem:
        return "is not valid YAML here: the settings are one document (---)"
    tokens = re.compile(r"'([^']*)'")
    problem = tokens.sub(lambda quoted: quoted[0] if _harmless(quoted[1]) else "…", problem.partition(";")[0])
    hint = " (put a value that holds ${…} in quotes here)" if "${" in line else ""
    return f"is not valid YAML: {problem}{hint}"


def _harmless(token: str) -> bool:
    return len(token) < 3 or token.startswith("<")


def _position(mark: StreamMark) -> Position:
    return mark.line + 1, mark.column + 1


def _offset(text: str, index: int) -> Position:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


class _Reader:
    """Makes plain values of YAML nodes by the core schema of YAML 1.2, whatever a %YAML line says."""

    def __init__(self, source: Source, text: str, environ: Mapping[str, str]) -> None:
        self._source, self._text, self._environ = source, text, environ
        self._met: set[int] = set()
        self._aliases = 0

    def value(self, node: Node, path: KeyPath) -> object:
        # An alias is its anchor's node met again; counting bounds the bombs made of aliases of aliases.
        self._aliases += id(node) in self._met
        self._met.add(id(node))
        if self._aliases > _MAX_ALIASES:
            position = _position(node.start_mark)
            raise _refused(self._source, f"has more than {_MAX_ALIASES} YAML aliases", position)
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode) and (node.tag or "").startswith(_TAG):
            return self._scalar(node, path)
        self._source.broken.add(path)
        self._fault(node, path, "YAML tags (!name) have no meaning here: put a text in quotes")
        return None

    def _item(self, node: Node, path: KeyPath) -> object:
        position = _position(node.start_mark)
        self._source.place(path, position, position)
        return self.value(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._fault(key, path, "a key must be a plain word")
                continue
            here = (*path, key.value)
            if key.tag == f"{_TAG}merge":
                self._fault(key, here, "YAML 1.2 has no merge key: repeat the keys")
            elif key.value in values:
                first = self._source.locate(here)[0]
                self._fault(key, here, f"this key stands twice, first in line {first}")
            else:
                # A value that is not there is marked where the next key begins.
                there = key if value.start_mark.index == value.end_mark.index else value
                self._source.place(here, _position(key.start_mark), _position(there.start_mark))
                values[key.value] = self.value(value, here)
        return values

    def _scalar(self, node: ScalarNode, path: KeyPath) -> object:
        text: str = node.value
        if node.tag != f"{_TAG}str":
            if text in _WORDS:
                return _WORDS[text]
            if _INT.fullmatch(text):
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if _FLOAT.fullmatch(text):
                return float(text)
        done = substitute(text, self._environ)
        for offset, what in done.faults:
            self._source.broken.add(path)
            self._fault(node, path, what, text[offset:])
        if done.secrets:
            self._source.secrets[path] = done.secrets
        return done.text

    def _fault(self, node: Node, path: KeyPath, what: str, reference: str = "") -> None:
        """Point at the reference itself where the file spells it as the value does, else at the node."""
        name = re.match(r"\$\{[^}\s]*", reference)
        found = self._text.find(name[0], node.start_mark.index, node.end_mark.index) if name else -1
        position = _position(node.start_mark) if found < 0 else _offset(self._text, found)
        self._source.problems.append(self._source.problem_at(position, path, what))
