"""Values as operators write them: durations (`90s`, `7d`), sizes (`256mb`, `1MiB`) and texts of a form."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES: dict[str, int] = {"": 1, "b": 1} | {
    name: base**power
    for power, letter in enumerate("kmgt", start=1)
    for name, base in ((f"{letter}b", 1000), (f"{letter}ib", 1024))
}
_NUMBER = r"(\d{1,15}(?:\.\d{1,6})?)"
_DURATION = re.compile(rf"{_NUMBER}\s*(ms|s|m|h|d|w)|0", re.IGNORECASE | re.ASCII)
_SIZE = re.compile(rf"{_NUMBER}\s*([kmgt]?i?b)?", re.IGNORECASE | re.ASCII)


def duration(value: object) -> timedelta:
    """A number needs its unit, unless it is 0. Raises ValueError without quoting the value."""
    if isinstance(value, timedelta):
        return value
    number, unit = _split(_DURATION, value, "must be a duration with its unit, such as 500ms, 90s, 15m, 1h or 7d")
    try:
        return timedelta(seconds=number * _SECONDS[unit or "s"])
    except OverflowError:
        raise ValueError("is longer than any calendar") from None


def size(value: object) -> int:
    """Bytes: `kb mb gb tb` count in thousands, `KiB MiB GiB TiB` in 1024s. Raises ValueError."""
    wanted = "must be a size such as 65536, 256mb, 1GB or 1MiB"
    number, unit = _split(_SIZE, value, wanted)
    if unit not in _BYTES:
        raise ValueError(wanted)
    return round(number * _BYTES[unit])


def spell(value: timedelta) -> str:
    """The shortest way to write a duration that `duration` reads back: `7d`, `90s`, `500ms`."""
    milliseconds = round(value / timedelta(milliseconds=1))
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % (scale := round(_SECONDS[unit] * 1000)) == 0:
            return f"{milliseconds // scale}{unit}"
    return f"{milliseconds}ms"


def spell_size(count: int) -> str:
    """The shortest way to write a size that `size` reads back: `1MiB`, `64MB`, `1000`."""
    for unit, scale in (("GiB", 2**30), ("GB", 10**9), ("MiB", 2**20), ("MB", 10**6), ("KiB", 2**10)):
        if count and count % scale == 0:
            return f"{count // scale}{unit}"
    return str(count)


def _split(pattern: re.Pattern[str], value: object, wanted: str) -> tuple[float, str]:
    if not isinstance(value, str | int | float):
        raise ValueError(wanted)
    if (match := pattern.fullmatch(str(value).strip())) is None:
        raise ValueError(wanted)
    return float(match[1] or 0), (match[2] or "").lower()


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(spell, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^(\d+(\.\d+)?\s*([mM]?[sS]|[mMhHdDwW])|0)$"},
                {"type": "integer", "const": 0},
            ]
        }
    ),
]
"""A timedelta of zero or more."""

Size = Annotated[
    int,
    BeforeValidator(size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*([kKmMgGtT]?[iI]?[bB])?$"},
                {"type": "integer", "minimum": 0},
            ]
        }
    ),
]
"""Bytes."""


@dataclass(frozen=True)
class Form:
    """In `Annotated[str, Form(pattern, words)]`: a text that matches as a whole, and what to say where it does not."""

    pattern: str
    words: str

    def check(self, text: str) -> str:
        """Raises ValueError without quoting the text."""
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(f"must be {self.words}")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}


Name = Annotated[str, StringConstraints(min_length=1)]
BaseUrl = Annotated[str, Form(r"https?://[^\s/]+\S*", "a URL such as https://api.example.com")]
