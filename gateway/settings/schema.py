"""The JSON Schema of a configuration file, for editors."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from channels.api import ChannelSettings
from channels.units import spell

Schema = dict[str, Any]

_VARIABLE: Schema = {
    "description": "What the variable brings is checked at the start.",
    "type": "string",
    "pattern": r"^.*\$\{.*\}.*$",
}
_CHECKED = ("pattern", "enum", "const", "minLength", "format")


class _Generator(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        """Durations as they are written in the file."""
        return spell(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def file_schema(settings: type[BaseModel], channels: Mapping[str, type[ChannelSettings]], inbox_name: str) -> Schema:
    """JSON Schema 2020-12 of a file; `channels` maps type to settings, `inbox_name` is the pattern of their keys."""
    models: list[type[BaseModel]] = [settings, *channels.values()]
    references, together = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}", schema_generator=_Generator
    )
    definitions: Schema = {name: _relaxed(schema) for name, schema in together["$defs"].items()}
    inboxes = []
    for name, model in sorted(channels.items()):
        reference = references[model, "validation"]
        definition = definitions[reference["$ref"].rpartition("/")[2]]
        definition["properties"] = {"type": {"const": name}} | definition["properties"]
        definition["required"] = sorted({"type", *definition.get("required", ())})
        inboxes.append(reference)
    definitions["Variable"] = _VARIABLE
    root = definitions.pop(settings.__name__)
    root["properties"]["channels"] |= {
        "additionalProperties": {"oneOf": inboxes},
        "propertyNames": {"pattern": inbox_name},
    }
    # A section whose lines are all commented out is null, and allowed.
    for name, schema in root["properties"].items():
        schema.pop("default", None)
        root["properties"][name] = {"anyOf": [schema, {"type": "null"}]}
    reachable = _reachable(root, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "config/gateway.yaml",
        **root,
        "$defs": {name: definitions[name] for name in sorted(reachable)},
    }


def _relaxed(schema: Any, *, named: bool = False) -> Any:
    """Without generated titles, and with a reference allowed wherever one scalar is; `named`: a map of schemas."""
    if isinstance(schema, list):
        return [_relaxed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if named:
        # A `type` chooses among models, so no variable can stand for it.
        return {
            name: {"const": value["const"]} if name == "type" and "const" in value else _relaxed(value)
            for name, value in schema.items()
        }
    kept = {key: value for key, value in schema.items() if key not in ("default", "enum", "const", "title")}
    relaxed = {key: _relaxed(value, named=key in ("properties", "$defs")) for key, value in kept.items()}
    relaxed |= {key: schema[key] for key in ("default", "enum", "const") if key in schema}
    scalar = relaxed.get("type") in ("integer", "number", "boolean", "string")
    if not scalar or (relaxed["type"] == "string" and not any(key in relaxed for key in _CHECKED)):
        return relaxed
    outside = {key: relaxed.pop(key) for key in ("description", "default") if key in relaxed}
    return {"anyOf": [relaxed, {"$ref": "#/$defs/Variable"}], **outside}


def _reachable(schema: Any, definitions: Schema) -> set[str]:
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting += here
        elif isinstance(here, dict):
            waiting += here.values()
            name = str(here.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(definitions[name])
    return found
