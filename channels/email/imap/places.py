"""How far each folder has been read: its UIDVALIDITY and the last UID, never a flag that others may set."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

import msgspec
import structlog

from channels.api import Cursor


class CursorDown(Exception):
    """Nobody tells or keeps how far we are."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """All mails of the folder up to `uid` are durably kept."""

    validity: int
    """UIDs are good as long as the folder has this number."""
    uid: int
    at: datetime
    """All that the server had by then is durably kept: where to begin in a folder that was made anew."""
    mailbox: str = ""
    """Of which account, as `name_of` has it: UIDs mean nothing in another, though its UIDVALIDITY be the same."""


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Place]).decode


def name_of(host: str, user: str) -> str:
    """An account by a digest: who it belongs to is nobody's business who reads a cursor."""
    return sha256(f"{user}\n{host.lower()}".encode()).hexdigest()[:16]


def read_places(kept: str | None) -> dict[str, Place]:
    """By folder; nothing where it was never moved. Raises msgspec.DecodeError where it is not what `written` wrote."""
    return {} if kept is None else _decode(kept)


def written(places: Mapping[str, Place]) -> str:
    """As the cursor keeps it."""
    return _encode(places).decode()


class Places:
    """Those of one inbox, in its cursor. What the cursor does not take for now is remembered here, and kept later."""

    def __init__(self, cursor: Cursor, log: structlog.typing.FilteringBoundLogger) -> None:
        self._cursor, self._log = cursor, log
        self._places: dict[str, Place] | None = None
        self.unkept = False
        """Whether the cursor is behind: who begins anew from it meets duplicates, and misses nothing."""

    async def read(self) -> None:
        """Once is enough: nobody else moves it. Raises CursorDown."""
        if self._places is not None:
            return
        try:
            self._places = read_places(await self._cursor.read())
        except OSError as error:
            raise CursorDown("no cursor") from error
        except msgspec.DecodeError:
            raise CursorDown("unreadable cursor") from None

    def of(self, folder: str) -> Place | None:
        """None where it was never looked at."""
        return (self._places or {}).get(folder)

    async def move(self, folder: str, place: Place) -> None:
        """Raises CursorDown for the first place of a folder alone: forgotten, it would be another one next time."""
        places = {**(self._places or {}), folder: place}
        try:
            await self._cursor.move(written(places))
        except OSError as error:
            if self.of(folder) is None:
                raise CursorDown("no cursor") from error
            if not self.unkept:
                self._log.warning("cursor.unkept")
            self.unkept = True
        else:
            if self.unkept:
                self._log.info("cursor.kept")
            self.unkept = False
        self._places = places
