"""Kinds of values that several sections share."""

from collections.abc import Callable

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema


def one_or_many(value: object) -> object:
    """One text may stand for a list of one."""
    return [value] if isinstance(value, str) else value


def checked(read: Callable[[str], object]) -> AfterValidator:
    """The text itself, where `read` raises no ValueError."""

    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


ONE_OR_MANY = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        ]
    }
)
MANY = (BeforeValidator(one_or_many), Field(min_length=1), ONE_OR_MANY)
"""In `Annotated[tuple[…, ...], *MANY]`: one or several, never none."""
