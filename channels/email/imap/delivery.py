"""From a mail in a folder to the gateway: fetched, handed over, and a notice where it cannot be fetched."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

import structlog

from channels.api import Host, Outcome, Refusal
from channels.email.arrival import Arrival
from channels.email.imap.connection import Connection, write
from channels.email.imap.letters import HEADER, Find, Letter, notice
from channels.email.imap.mailbox import Mailbox
from channels.email.imap.settings import ImapSettings
from channels.email.imap.troubles import MailboxError, Refused, Throttled, Unfetched
from channels.email.line_ends import as_by_smtp, pieces_as_by_smtp
from channels.email.reception import Reception
from channels.in_hand import InHand
from normalizers.email import MailPayload

IN_MEMORY: Final = 1024 * 1024
"""Bytes of a mail, or of several fetched at once, up to which the scratch disk is not used."""
TRIES: Final = 5
"""Connections on which a mail is asked for before a notice takes its place."""

_TOO_BIG = "it is larger than max_size"
_BROKEN = "the server did not give it out"


class Deferred(Exception):
    """The gateway cannot keep it now: nothing after it may be taken. Says why, where nobody has said it yet."""


class _Key(NamedTuple):
    folder: str
    validity: int
    uid: int


class _Grown(Exception):
    """It is larger than its server said."""


class Delivery:
    """Takes mails in the order of their UIDs."""

    def __init__(
        self, settings: ImapSettings, host: Host[MailPayload], reception: Reception, find: Find, otherwise: str
    ) -> None:
        """`find` says whether an address is ours, `otherwise` whose a mail is that names none of ours."""
        self._settings, self._host, self._reception = settings, host, reception
        self._find, self._otherwise = find, otherwise
        self._in_hand = InHand()
        self._tries: dict[_Key, int] = {}
        self._log = structlog.get_logger().bind(channel="email", inbox=host.inbox)

    async def drain(self, seconds: float) -> None:
        """Wait for what is being handed over."""
        await self._in_hand.drain(seconds)

    async def take(
        self, mailbox: Mailbox, folder: str, validity: int, uids: Sequence[int], kept: Callable[[int], None]
    ) -> None:
        """Takes some of them, from the first on; `kept` hears of each that is durably kept, or gone.

        Raises Deferred, MailboxError.
        """
        key = partial(_Key, folder, validity)
        if len(uids) == 1 or any(key(uid) in self._tries for uid in uids):
            await self._alone(mailbox, key(uids[0]))
            kept(uids[0])
            return
        try:
            sizes = await mailbox.call(Connection.sizes, uids)
            together = _together(uids, sizes, min(IN_MEMORY, self._settings.max_size))
            found = await mailbox.call(Connection.fetch, together) if len(together) > 1 else {}
        except Throttled:
            raise
        except MailboxError as error:
            # Which of them it was shows when each is asked for alone.
            self._tries.update({key(uid): 0 for uid in uids})
            if isinstance(error, Refused):
                return
            raise
        for uid in together or uids:
            if not (content := found.get(uid)):
                break
            await self._hand_over(content=content)
            kept(uid)
        else:
            return
        self._tries[key(uid)] = 0  # large, gone, or not given out: alone, it shows which

    async def _alone(self, mailbox: Mailbox, key: _Key) -> None:
        tries = self._tries.get(key, 0)
        try:
            if tries < TRIES:
                await self._fetch(mailbox, key)
            else:
                await self._give_notice(mailbox, key, _BROKEN, with_header=tries == TRIES)
                self._log.error("mail.unfetched", folder=key.folder, uid=key.uid)
        except Throttled:
            raise
        except MailboxError as error:
            self._tries[key] = tries + 1
            raise (Unfetched() if isinstance(error, Refused) else error) from None
        self._tries.pop(key, None)

    async def _fetch(self, mailbox: Mailbox, key: _Key) -> None:
        uid = key.uid
        size = (await mailbox.call(Connection.sizes, [uid])).get(uid)
        if size is None:
            if await mailbox.call(Connection.search, uid, uid):
                raise Refused  # it is there, and the server does not say how large
        elif size > self._settings.max_size:
            await self._too_big(mailbox, key)
        elif size > IN_MEMORY:
            await self._by_file(mailbox, key, size)
        else:
            content = (await mailbox.call(Connection.fetch, [uid])).get(uid)
            if content is None or (size and not content):
                raise Refused
            await self._hand_over(content=content)

    async def _by_file(self, mailbox: Mailbox, key: _Key, size: int) -> None:
        path = self._host.scratch / f"imap-{uuid4().hex}.eml"

        def fetch(connection: Connection) -> None:
            try:
                write(pieces_as_by_smtp(self._bounded(connection.fetch_pieces(key.uid, size))), path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

        try:
            await mailbox.call(fetch)
        except _Grown:
            await self._too_big(mailbox, key)
        except OSError as error:
            raise Deferred(f"scratch disk: {os.strerror(error.errno or 0)}") from error
        else:
            await self._hand_over(file=path)

    def _bounded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > self._settings.max_size:
                raise _Grown
            yield piece

    async def _too_big(self, mailbox: Mailbox, key: _Key) -> None:
        await self._give_notice(mailbox, key, _TOO_BIG, with_header=True)
        self._host.refused(Refusal.OVERSIZED, "mail over max_size")

    async def _give_notice(self, mailbox: Mailbox, key: _Key, why: str, *, with_header: bool) -> None:
        header = await mailbox.call(Connection.header, key.uid) if with_header else None
        await self._hand_over(content=notice(header, key.folder, key.uid, why))

    async def _hand_over(self, *, content: bytes = b"", file: Path | None = None) -> None:
        """A stop lets it finish. Raises Deferred."""
        outcome = await self._in_hand.run(self._take_in(content, file))
        if outcome is Outcome.DEFERRED:
            raise Deferred

    async def _take_in(self, content: bytes, file: Path | None) -> Outcome:
        try:
            # A header of thousands of addresses takes its time, and nobody else is to wait for it.
            arrival = await asyncio.to_thread(self._arrival, content, file)
            return (await self._reception.take(arrival)).outcome
        finally:
            if file is not None:
                await asyncio.to_thread(partial(file.unlink, missing_ok=True))

    def _arrival(self, content: bytes, file: Path | None) -> Arrival:
        head = content[:HEADER] if file is None else _head(file)
        arrival = Arrival(medium="imap", content=as_by_smtp(content), file=file, recipients=(self._otherwise,))
        try:
            letter = Letter(head)
            return replace(
                arrival,
                mail_from=letter.mail_from,
                null_sender=letter.null_sender,
                recipients=letter.recipients(self._find, self._otherwise),
            )
        except Exception as error:  # a bug of ours must not have one mail stop all that come after it
            self._log.error("header.unread", error=type(error).__name__)
            return arrival


def _together(uids: Sequence[int], sizes: Mapping[int, int], room: int) -> list[int]:
    """The first few that fit into so many bytes together; those of unknown size take no room."""
    together: list[int] = []
    for uid in uids:
        room -= sizes.get(uid, 0)
        if room < 0:
            break
        together.append(uid)
    return together


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(HEADER)
