"""Looks into the mailbox for as long as the inbox is open, whatever becomes of the server meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import structlog
from msgspec import structs

from channels.api import Host
from channels.email.imap import mailbox
from channels.email.imap.connection import Connection, Folder
from channels.email.imap.delivery import Deferred, Delivery
from channels.email.imap.mailbox import Mailbox
from channels.email.imap.places import CursorDown, Place, Places, name_of
from channels.email.imap.settings import ImapSettings
from channels.email.imap.tokens import Tokens
from channels.email.imap.troubles import (
    NEWS,
    NO_FOLDER,
    LinkDown,
    LoginRefused,
    MailboxError,
    NoIdle,
    Refused,
    Throttled,
)
from normalizers.email import MailPayload

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds between two tries while it fails, doubled every time."""
LOGIN_PAUSE, LONGEST_LOGIN_PAUSE = 300.0, 3600.0
"""The same after a refused login: accounts are locked for less."""
LONGEST_IDLE: Final = 25 * 60.0
"""Seconds; servers hang up on who has said nothing for 30 minutes (RFC 2177)."""
WINDOW: Final = 50_000
"""UIDs asked about at once in a folder that has more mails: a longer answer than this is no line for imaplib."""
KEPT_ANEW: Final = timedelta(hours=1)
"""How old a place may be that nothing moves."""
OVERLAP: Final = timedelta(days=1)
"""Where a folder was made anew: time zones, clocks and the day's granularity of SINCE."""


_LONG_AGO: Final = datetime(1980, 1, 1, tzinfo=UTC)
"""Before there was any mailbox; far enough from the first day there is for a day less."""


class Poller:
    """One mailbox."""

    def __init__(self, settings: ImapSettings, host: Host[MailPayload], delivery: Delivery) -> None:
        self.name = f"imap-{host.inbox}"
        self._settings, self._host, self._delivery = settings, host, delivery
        self._tokens = Tokens(settings.oauth2, settings.timeout.total_seconds()) if settings.oauth2 else None
        self._idle = settings.idle
        self._trouble: str | None = None
        self._missing: set[str] = set()
        self._failures = 0
        self._fresh = True
        self._established = False
        self._log = structlog.get_logger().bind(channel="email", inbox=host.inbox)
        self._places = Places(host.cursor, self._log)
        self._mailbox = name_of(settings.host, settings.user)

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self._visit()
                pause = 0.0
            except LoginRefused as error:
                pause = self._refused(error)
            except Throttled as error:
                pause = self._failed(error.word)
                pause = max(pause, min(error.seconds, LONGEST_LOGIN_PAUSE)) if error.seconds else pause
            except NoIdle:
                self._idle, pause = False, 0.0
            except MailboxError as error:
                pause = 0.0 if error.word == NEWS else self._failed(error.word)
            except Deferred as error:
                pause = self._failed(str(error)) if error.args else self._backoff()
            except CursorDown as error:
                pause = self._failed(str(error))
            except Exception as error:  # a bug of ours must not end the fetching of all that comes after
                pause = self._failed(type(error).__name__)
            await asyncio.sleep(pause)

    def _refused(self, error: LoginRefused) -> float:
        if self._tokens is not None and self._tokens.forget() and self._fresh:
            self._fresh = False
            return 0.0  # it may have been withdrawn before its time
        self._established = False
        self._failed(error.word)
        return float(min(LOGIN_PAUSE * 2 ** min(self._failures - 1, 8), LONGEST_LOGIN_PAUSE))

    def _failed(self, word: str) -> float:
        if self._established:
            # Servers hang up on long connections as a matter of course: down is who cannot be reached again.
            self._established = False
            return self._backoff()
        if self._trouble != word:
            self._log.error("link.down", link="imap", error=word)
        self._trouble = word
        return self._backoff()

    def _backoff(self) -> float:
        self._failures += 1
        return float(min(SHORTEST * 2 ** min(self._failures - 1, 16), LONGEST)) * random.uniform(0.8, 1.2)

    def _works(self) -> None:
        if self._trouble is not None:
            self._log.info("link.up", link="imap")
        self._trouble, self._failures, self._fresh, self._established = None, 0, True, True

    async def _visit(self) -> None:
        await self._places.read()
        token = await self._tokens.get() if self._tokens else None
        async with mailbox.opened(self._settings, token, self.name) as opened:
            can_idle = self._idle and await opened.call(Connection.can_idle)
            while True:
                while await self._look(opened):
                    pass
                self._works()
                wait = self._settings.poll.total_seconds()
                if can_idle and not self._missing:
                    await opened.call(Connection.idle, min(wait, LONGEST_IDLE))
                elif wait < LONGEST_IDLE:
                    await asyncio.sleep(wait)
                else:
                    break
        await asyncio.sleep(wait)

    async def _look(self, opened: Mailbox) -> bool:
        """Whether there was anything new. Ends in the first folder, for IDLE tells of the one selected last."""
        news = False
        for folder in reversed(self._settings.folders):
            try:
                found = await opened.call(Connection.examine, folder)
            except Refused:
                if folder not in self._missing:
                    self._log.error("folder.refused", folder=folder)
                self._missing.add(folder)
                continue
            if folder in self._missing:
                self._missing.discard(folder)
                self._log.info("folder.opened", folder=folder)
            news = await self._catch_up(opened, folder, found) or news
        if len(self._missing) == len(self._settings.folders):
            raise LinkDown(NO_FOLDER)
        return news

    async def _catch_up(self, opened: Mailbox, folder: str, found: Folder) -> bool:
        place, looked = self._places.of(folder), _now()
        if place is None or self._is_another(place, found):
            if place is not None:
                self._log.warning("folder.renewed", folder=folder)
            place = await self._beginning(opened, found, place)
            await self._places.move(folder, place)
        news = False
        async for uids in _windows(opened, found, place.uid + 1):
            while uids := [uid for uid in uids if uid > place.uid]:
                news = True
                place = await self._take(opened, folder, place, uids[: self._settings.batch])
        # Not to the end of what is promised by UIDNEXT: a server may number a mail before it shows it.
        if news or self._places.unkept or looked - place.at > KEPT_ANEW:
            await self._places.move(folder, structs.replace(place, at=looked))
        return news

    def _is_another(self, place: Place, found: Folder) -> bool:
        """Whether its UIDs say nothing of ours: made anew, of another account, or set back by a backup."""
        same = (found.validity, self._mailbox) == (place.validity, place.mailbox)
        return not same or (found.numbered and place.uid >= found.next_uid)

    async def _take(self, opened: Mailbox, folder: str, place: Place, uids: list[int]) -> Place:
        """Where that brings us; what is durably kept stays behind us whatever comes after it."""
        reached = place.uid

        def kept(uid: int) -> None:
            nonlocal reached
            reached = uid

        try:
            await self._delivery.take(opened, folder, place.validity, uids, kept)
        finally:
            if reached > place.uid:
                place = structs.replace(place, uid=reached)
                await self._places.move(folder, place)
        return place

    async def _beginning(self, opened: Mailbox, found: Folder, place: Place | None) -> Place:
        """The place after which to begin."""
        since, day = self._settings.since, None
        if place is not None:
            # All since we last looked to the end, and what was taken before is a duplicate.
            at = place.at
            day = (at - OVERLAP).date()
        elif since == "all":
            at = _LONG_AGO
        elif since == "now":
            at = _now()
        else:
            at, day = datetime.combine(since, time(), UTC) + OVERLAP, since
        uid = 0 if day is None and since == "all" else found.next_uid - 1
        if day is not None:
            async for uids in _windows(opened, found, 1, day):
                if uids:
                    uid = uids[0] - 1
                    break
        return Place(validity=found.validity, uid=uid, at=at, mailbox=self._mailbox)


async def _windows(opened: Mailbox, found: Folder, first: int, since: date | None = None) -> AsyncIterator[list[int]]:
    width = WINDOW if found.mails > WINDOW else found.next_uid
    while first < found.next_uid:
        last = min(first + width, found.next_uid) - 1
        yield await opened.call(Connection.search, first, last, since)
        first = last + 1


def _now() -> datetime:
    return datetime.now(UTC)
