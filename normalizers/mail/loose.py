"""A file that came inside another one, or inside the text."""

import msgspec


class Loose(msgspec.Struct, frozen=True, kw_only=True):
    """Stands among the parts of a mail, in their order."""

    name: str
    """As the sender gave it."""
    media_type: str
    content: bytes | None
    """None where only its name is told."""
    omitted_reason: str | None = None
