"""Values of a JSON document that remember where they stand."""

import re
from collections.abc import Iterator
from typing import Any

from normalizers.message import Malformed, Problem

_NUMBER = re.compile(r"[0-9]{1,25}")
_TOKEN = re.compile(r"[A-Za-z0-9._:-]{1,100}")


class Place:
    """A value and its JSON pointer; what is absent or of another type reads as None."""

    __slots__ = ("pointer", "value")

    def __init__(self, value: Any, pointer: str = "") -> None:
        self.value, self.pointer = value, pointer

    def at(self, *names: str) -> "Place":
        """The value under the first of these spellings that is there."""
        if isinstance(self.value, dict):
            for name in names:
                if (value := self.value.get(name)) is not None:
                    return Place(value, f"{self.pointer}/{name}")
        return Place(None, f"{self.pointer}/{names[0]}")

    def items(self) -> Iterator["Place"]:
        """What is in a list; nothing where this is none."""
        if isinstance(self.value, list):
            for index, value in enumerate(self.value):
                yield Place(value, f"{self.pointer}/{index}")

    def unwrapped(self) -> "Place":
        """What stands under `data`, as X nests some objects and not others."""
        inner = self.at("data")
        return inner if isinstance(inner.value, dict) else self

    def is_object(self) -> bool:
        return isinstance(self.value, dict)

    def is_true(self) -> bool:
        """True, or the word: the Account Activity API writes booleans as strings."""
        return self.value is True or self.value == "true"

    def text(self) -> str | None:
        return self.value if isinstance(self.value, str) else None

    def number(self) -> str | None:
        """The id of a post or a user, as a string whatever it came as."""
        value = str(self.value) if type(self.value) is int else self.value
        return value if isinstance(value, str) and _NUMBER.fullmatch(value) else None

    def token(self) -> str | None:
        """Any other id: of a conversation, an event, a medium."""
        value = str(self.value) if type(self.value) is int else self.value
        return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None

    def fault(self, expected: str) -> Malformed:
        """What to raise where this should have been something else."""
        if self.value is None:
            return Malformed(Problem(self.pointer, "required", f"There should be {expected} here."))
        return Malformed(Problem(self.pointer, "invalid", f"This should be {expected}."))
