"""What a model has against a configuration, in an operator's words and with its place in the file."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from channels.units import size, spell, spell_size
from gateway.settings.file import ConfigProblem, KeyPath, Source

_SECRET_KEY = re.compile(r"secret|token|passw|key", re.IGNORECASE)
_WORDS = {
    "missing": "is required, and missing",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping (key: value)",
    "mapping_type": "must be a mapping (key: value)",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
    "path_type": "must be a path",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "too_long": "must have at most {max_length} items",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must have the form {pattern}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "union_tag_not_found": "is required, and missing",
    "union_tag_invalid": "must be one of {expected_tags}",
}


def explain(
    error: ValidationError, *, source: Source, model: type[BaseModel], data: object, under: KeyPath = ()
) -> Iterator[ConfigProblem]:
    """One problem per fault; what follows only from a value that could not be read is left out."""
    faults = error.errors(include_url=False)
    for fault in faults:
        loc = fault["loc"]
        if fault["type"] == "too_short" and any(f["loc"][: len(loc)] == loc != f["loc"] for f in faults):
            continue  # pydantic leaves the wrong entries out, and then misses them
        path, kind = _follow(fault["loc"], data, model, missing=fault["type"] == "missing")
        context: dict[str, Any] = fault.get("ctx", {})
        path += tuple(getattr(context.get("error"), "path", ()))
        if fault["type"].startswith("union_tag"):
            path += ("type",)
        here = (*under, *path)
        if any(here[: len(bad)] == bad or bad[: len(here)] == here for bad in source.broken):
            continue
        if fault["type"] == "extra_forbidden":
            yield source.problem(here, _unknown(str(path[-1]), kind))
        else:
            at_key = fault["type"] == "missing" or fault["loc"][-1:] == ("[key]",)
            words = _words(fault, context, here, source, _marks(kind, path[-1:]))
            yield source.problem(here, words, "key" if at_key else "value")


def _words(
    fault: Mapping[str, Any], context: Mapping[str, Any], path: KeyPath, source: Source, marks: Sequence[Any]
) -> str:
    kind, value = fault["type"], fault["input"]
    if kind == "string_type":
        if isinstance(value, int | float):
            thing = "true or false" if isinstance(value, bool) else "the number (a leading 0 would be lost)"
            return f"must be text: put {thing} in quotes"
        return "must be text" if value is not None else "must be text, and is empty"
    if kind in _WORDS:
        return _WORDS[kind].format_map({name: _bound(name, told, marks) for name, told in context.items()})
    if kind in ("value_error", "assertion_error"):
        return _redact(str(context["error"]), path, value, source)
    return _redact(re.sub(r"^(Input|Value|String) should", "must", str(fault["msg"])), path, value, source)


def _marks(model: Any, key: KeyPath) -> Sequence[Any]:
    """What the type of a model's key is annotated with."""
    field = model.model_fields.get(*key) if key and _keys(model) else None
    return field.metadata if field else ()


def _bound(name: str, told: object, marks: Sequence[Any]) -> object:
    """A bound as an operator writes it; pydantic tells that of a duration as Python would."""
    bound = next((found for mark in marks if (found := getattr(mark, name, None)) is not None), told)
    if isinstance(bound, timedelta):
        return spell(bound) if bound else "0s"
    sized = any(getattr(mark, "func", None) is size for mark in marks)
    return spell_size(bound) if sized and isinstance(bound, int) else bound


def _redact(what: str, path: KeyPath, value: object, source: Source) -> str:
    """A validator may quote what it was given: put the reference back for what came from outside the file."""
    for place, replaced in source.secrets.items():
        if place[: len(path)] == path or path[: len(place)] == place:
            for secret, reference in replaced:
                what = what.replace(secret, reference)
    if isinstance(value, str) and value and any(_SECRET_KEY.search(str(step)) for step in path):
        what = what.replace(value, "***")
    return what


def _follow(loc: KeyPath, data: object, kind: Any, *, missing: bool) -> tuple[KeyPath, Any]:
    """The path as the file spells it, and the model at its parent; a location also names union members."""
    path: list[str | int] = []
    parent = kind
    for number, step in enumerate(loc):
        kind = _bare(kind)
        last = number == len(loc) - 1
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int):
            data = data[step]
        elif step in _keys(kind) or (missing and last):
            data = None
        else:
            kind = _member(kind, step)
            continue
        path.append(step)
        parent, kind = kind, _child(kind, step)
    return tuple(path), parent


def _unknown(key: str, kind: Any) -> str:
    known = sorted(_keys(kind))
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    return f"unknown key; known here: {', '.join(known)}" if known else "unknown key"


def _keys(kind: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    return {}


def _bare(kind: Any) -> Any:
    """Without Annotated and `| None`."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not type(None)]
        if len(members) == 1:
            return _bare(members[0])
    return kind


def _child(kind: Any, step: str | int) -> Any:
    if (keys := _keys(kind)) and step in keys:
        return keys[str(step)]
    arguments = [argument for argument in get_args(kind) if argument is not Ellipsis]
    return arguments[-1] if get_origin(kind) not in (Union, UnionType, None, Literal) and arguments else None


def _member(kind: Any, tag: object) -> Any:
    """The member of a discriminated union whose `type` is this tag."""
    if get_origin(kind) in (Union, UnionType):
        for member in map(_bare, get_args(kind)):
            if tag in get_args(_bare(_keys(member).get("type"))):
                return member
    return kind
