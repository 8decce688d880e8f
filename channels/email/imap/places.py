"""How far each folder has been read: its UIDVALIDITY and the last UID, never a flag that others may set."""

from collections.abc import Mapping
from datetime import datetime

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """All mails of the folder up to `uid` are durably kept."""

    validity: int
    """UIDs are good as long as the folder has this number."""
    uid: int
    at: datetime
    """When that was so, at the latest: where to begin in a folder that was made anew."""


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Place]).decode


def read_places(kept: str | None) -> dict[str, Place]:
    """By folder; nothing where it was never moved. Raises msgspec.DecodeError where it is not what `written` wrote."""
    return {} if kept is None else _decode(kept)


def written(places: Mapping[str, Place]) -> str:
    """As the cursor keeps it."""
    return _encode(places).decode()
