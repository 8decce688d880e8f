"""What was said just now, apart from what is quoted, forwarded or signed under it."""

import msgspec


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the new words; `full` everything, None where that is the same."""

    text: str
    full: str | None = None
    signature: str | None = None


def said(words: str) -> Said:
    """Loses nothing the customer wrote: where it is in doubt what is new, all of it is."""
    return Said(text=words)
