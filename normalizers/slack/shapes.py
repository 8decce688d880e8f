"""Values of Slack's documents, type checked where they are read."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from normalizers.message import Malformed, Problem

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
TIMESTAMP = re.compile(r"[0-9]{1,11}\.[0-9]{1,9}")
"""Of an event or a post, and together with the channel a post's name: never to be rounded."""

Object = Mapping[str, Any]


def decode(body: bytes) -> Object:
    """The document. Raises Malformed."""
    try:
        # Not msgspec: it refuses escaped lone surrogates, which people can type.
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise wrong("", "invalid_json", "The body is not valid JSON in UTF-8.") from None
    if not isinstance(document, dict):
        raise wrong("", "invalid_json", "The body must be a JSON object.")
    return document


def required(values: Object, field: str, at: str, form: re.Pattern[str] | None = None) -> str:
    """The string that must be there; `at` is the pointer to `values`. Raises Malformed."""
    value = values.get(field)
    if isinstance(value, str) and (form is None or form.fullmatch(value)):
        return value
    if value is None:
        raise wrong(f"{at}/{field}", "required", f"The {field} is missing.")
    raise wrong(f"{at}/{field}", "invalid", f"The {field} is not what Slack sends there.")


def optional(values: Object, field: str, form: re.Pattern[str]) -> str | None:
    """The string where it has that form; anything else is as good as absent."""
    value = values.get(field)
    return value if isinstance(value, str) and form.fullmatch(value) else None


def string(values: Object, field: str) -> str:
    """The string, empty where there is none."""
    value = values.get(field)
    return value if isinstance(value, str) else ""


def child(values: Object, field: str, at: str) -> Object:
    """The object that must be there. Raises Malformed."""
    if values.get(field) is None:
        raise wrong(f"{at}/{field}", "required", f"The {field} is missing.")
    return maybe_child(values, field, at)


def maybe_child(values: Object, field: str, at: str) -> Object:
    """The object, empty where it is absent. Raises Malformed where something else stands there."""
    value = values.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(f"{at}/{field}", "not_an_object", f"The {field} must be an object.")
    return value


def moment(timestamp: str) -> datetime:
    """When that was, to the microsecond, as no float could say."""
    seconds, _, fraction = timestamp.partition(".")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(fraction[:6].ljust(6, "0")))


def wrong(pointer: str, code: str, message: str) -> Malformed:
    """The fault of one value."""
    return Malformed(Problem(pointer, code, message))
