"""JSON of strangers, taken apart value by value: everything wrong is noted with its pointer, nothing raises."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from normalizers.message import MessageWarning, Problem
from normalizers.text import clean_line

MOST = 20
"""Items of any one array."""

_MOST_UNKNOWN = 10
_JSON_WORDS: Mapping[type, str] = {str: "a string", list: "an array", dict: "an object"}
T = TypeVar("T")


class Report:
    """What is wrong with a body, and what was left out of it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[MessageWarning] = []
        self.unknown = 0


class JsonObject:
    """One object of a body: what is taken out is checked, what is never taken is unknown; null is absent."""

    def __init__(self, values: dict[str, Any], at: str, report: Report) -> None:
        self._values, self.at, self.report = values, at, report

    def wrong(self, key: str, code: str, message: str) -> None:
        """Note a problem; with an empty `key`, of the object as a whole."""
        self.report.problems.append(Problem(f"{self.at}/{key}" if key else self.at, code, message))

    def warn(self, code: str, key: str) -> None:
        """Note something left out."""
        self.report.warnings.append(MessageWarning(code, f"{self.at}/{key}"))

    def take(self, key: str, wanted: type[T], *, required: bool = False) -> T | None:
        """The value, if it has the wanted JSON type."""
        value = self._values.pop(key, None)
        if isinstance(value, wanted):
            return value
        if value is not None:
            self.wrong(key, "wrong_type", f"The {key} must be {_JSON_WORDS[wanted]}.")
        elif required:
            self.wrong(key, "required", f"The {key} is required.")
        return None

    def line(self, key: str, limit: int, *, required: bool = False) -> str:
        """One line of text, empty where there is none or a wrong one."""
        value = self.take(key, str, required=required)
        # Two more: cutting at a gap takes the gap away too, and the line would seem to fit.
        line = clean_line(value or "", limit + 2)
        if len(line) > limit:
            self.wrong(key, "too_long", f"The {key} must have at most {limit} characters.")
            return ""
        if value is not None and required and not line:
            self.wrong(key, "required", f"The {key} is empty.")
        return line

    def identifier(self, key: str, limit: int) -> str:
        """As it stands: a name of somebody else's is never put right."""
        value = self.take(key, str)
        if value is None:
            return ""
        if not (0 < len(value) <= limit and value.isprintable() and value == value.strip()):
            self.wrong(key, "invalid_id", f"The {key} must be 1 to {limit} printable characters.")
        return value

    def only(self, key: str, *, required: bool = False) -> "JsonObject | None":
        """The object under this key."""
        value = self.take(key, dict, required=required)
        return None if value is None else JsonObject(value, f"{self.at}/{key}", self.report)

    def many(self, key: str) -> Iterator["JsonObject"]:
        """The objects of the array under this key; of one that is too long, none."""
        values = self.take(key, list) or []
        if len(values) > MOST:
            self.wrong(key, "too_many", f"The {key} may have at most {MOST} items.")
            return
        for number, value in enumerate(values):
            if isinstance(value, dict):
                item = JsonObject(value, f"{self.at}/{key}/{number}", self.report)
                yield item
                item.rest_is_unknown()
            else:
                self.wrong(f"{key}/{number}", "wrong_type", "Each item must be an object.")

    def rest_is_unknown(self) -> None:
        """Warn of what was not taken, ten keys at most of the whole body."""
        for key in self._values:
            self.report.unknown += 1
            if self.report.unknown > _MOST_UNKNOWN:
                return
            self.warn("unknown_field", clean_line(key, 40).replace("~", "~0").replace("/", "~1"))
