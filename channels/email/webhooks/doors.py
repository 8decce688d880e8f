"""The HTTP side of an email inbox: reads what providers post, within bounds, and takes in what is for us."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec
from aiohttp.web import Request, RequestPayloadError, Response, RouteDef, StreamResponse, route

from channels.api import Host, Outcome, Receipt, Refusal
from channels.bodies import read_body
from channels.email.arrival import Arrival
from channels.email.line_ends import as_by_smtp
from channels.email.reception import Reception
from channels.email.settings import EmailSettings
from channels.email.smtp.hops import is_loop
from channels.email.smtp.mailboxes import Mailboxes, NotOurs
from channels.email.webhooks.mailgun import Mailgun
from channels.email.webhooks.postmark import Postmark
from channels.email.webhooks.provider import Answer, Handed, Post, Provider, TurnedAway
from channels.email.webhooks.sendgrid import SendGrid
from channels.email.webhooks.ses import Ses
from channels.in_hand import InHand
from channels.posts import to_program
from channels.problems import RETRY_AFTER, problem
from normalizers.email import MailPayload

_encode = msgspec.json.Encoder().encode

READ_SECONDS: Final = 120.0
"""For one body to arrive in; SendGrid gives up a mail whose post was answered with a 4xx, so too late is a 503."""


def providers(settings: EmailSettings) -> list[Provider]:
    """Those that are configured."""
    webhooks = settings.webhooks
    found: list[Provider] = []
    if webhooks.sendgrid:
        found.append(SendGrid(webhooks.sendgrid))
    if webhooks.mailgun:
        found.append(Mailgun(webhooks.mailgun))
    if webhooks.postmark:
        found.append(Postmark(webhooks.postmark))
    if webhooks.ses:
        found.append(Ses(webhooks.ses, settings.max_size))
    return found


class Webhooks:
    """All webhooks of one inbox."""

    def __init__(
        self,
        settings: EmailSettings,
        host: Host[MailPayload],
        reception: Reception,
        doors: Sequence[Provider] | None = None,
    ) -> None:
        self._host, self._reception = host, reception
        self._providers = providers(settings) if doors is None else doors
        self._mailboxes = Mailboxes(settings.recipients)
        self._max_size, self._max_memory = settings.max_size, settings.max_memory
        self._accept_timeout = settings.accept_timeout.total_seconds()
        self._memory = 0
        self._in_hand = InHand()

    def routes(self) -> Sequence[RouteDef]:
        """The addresses of those that are configured."""
        return [route("POST", path, self._handler(one)) for one in self._providers for path in one.paths]

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Mail is taken while entered."""
        return self._in_hand.opened()

    def _handler(self, provider: Provider) -> Callable[[Request], Awaitable[StreamResponse]]:
        async def handle(request: Request) -> StreamResponse:
            try:
                with self._in_hand:
                    return await self._take(provider, request)
            except TurnedAway as reason:
                self._host.refused(reason.why, reason.detail)
                return _turned_away(provider, reason)

        return handle

    async def _take(self, provider: Provider, request: Request) -> StreamResponse:
        if not self._in_hand.is_open:
            return _later("The gateway is closing: send it again.")
        peer = request.remote or ""
        provider.admit(request.headers, peer)
        limit = provider.limit(self._max_size)
        room = 0

        def grow(size: int) -> None:
            """By what is here: what is announced may never come, and be little of what it decompresses to."""
            nonlocal room
            self._make_room(size, room)
            room, self._memory = room + size, self._memory + size

        try:
            self._make_room(min(limit, request.content_length or 0), 0)
            body = await self._body(request, limit, grow)
            if isinstance(body, Response):
                return body
            headers, content_type = request.headers, request.headers.get("Content-Type", "")
            handed = await provider.read(Post(body=body, headers=headers, content_type=content_type, peer=peer))
            del body
            fetched = max(len(handed.content) - room, 0)
            room, self._memory = room + fetched, self._memory + fetched
            arrival = await asyncio.to_thread(self._arrival, provider.name, handed)
            return await self._taken(arrival)
        finally:
            self._memory -= room

    def _make_room(self, size: int, own: int) -> None:
        """One mail always has it. Raises TurnedAway."""
        if self._memory > own and self._memory + size > self._max_memory:
            words = "Too much mail at once: send it again."
            raise TurnedAway(Answer.LATER, "webhooks over max_memory", words, Refusal.TOO_MANY)

    async def _body(self, request: Request, limit: int, grow: Callable[[int], None]) -> bytes | Response:
        try:
            body = await read_body(request, limit, seconds=READ_SECONDS, grow=grow)
        except TimeoutError:
            return _later(f"The body did not arrive within {READ_SECONDS:.0f} seconds.")
        except RequestPayloadError:
            request.content.feed_eof()  # aiohttp would read on, meet its own exception again and log it
            response = _later("The body does not match its Content-Encoding or Transfer-Encoding.")
            response.force_close()
            return response
        if body is None:
            raise self._too_large()
        return body

    def _arrival(self, medium: str, handed: Handed) -> Arrival:
        """In a thread: a mail may be large. Raises TurnedAway."""
        if len(handed.content) > self._max_size:
            raise self._too_large()
        found = (self._mailboxes.find(address.strip(" <>")) for address in handed.recipients)
        ours = tuple(dict.fromkeys(one for one in found if not isinstance(one, NotOurs)))
        if not ours:
            words = "No recipient of this mail is a mailbox of this inbox."
            raise TurnedAway(Answer.NEVER, "no recipient of this inbox", words, Refusal.FORGED)
        content = as_by_smtp(handed.content)
        if is_loop(content, lambda address: not isinstance(self._mailboxes.find(address), NotOurs)):
            raise TurnedAway(
                Answer.NEVER, "mail loop", "The mail has been here, or passed too many servers.", Refusal.LOOP
            )
        return Arrival(
            medium=medium,
            content=content,
            mail_from=handed.mail_from,
            null_sender=handed.null_sender,
            recipients=ours,
            peer=handed.peer,
            authentication=handed.authentication,
        )

    async def _taken(self, arrival: Arrival) -> StreamResponse:
        try:
            async with asyncio.timeout(self._accept_timeout):
                receipt = await self._in_hand.run(self._reception.take(arrival))
        except TimeoutError:
            return _later("The mail is being taken in still: send it again.")
        return _answer(receipt)

    def _too_large(self) -> TurnedAway:
        words = f"A mail may have at most {self._max_size} bytes."
        return TurnedAway(Answer.NEVER, "mail over max_size", words, Refusal.OVERSIZED)


def _answer(receipt: Receipt) -> StreamResponse:
    """Rejected is kept as a dead letter: ours to look at, and the provider could only send the same again."""
    if receipt.outcome is Outcome.DEFERRED:
        return to_program(receipt)
    references = [one.reference for one in receipt.references]
    return _json(200, {"outcome": receipt.outcome.value, "references": references})


def _turned_away(provider: Provider, reason: TurnedAway) -> Response:
    status = provider.statuses[reason.answer]
    words = reason.words or f"{reason.detail[:1].upper()}{reason.detail[1:]}."
    if status == 200:
        return _json(200, {"outcome": "ignored", "detail": words})
    return _later(words) if status == 503 else problem(status, words)


def _json(status: int, answer: object) -> Response:
    return Response(status=status, body=_encode(answer), content_type="application/json")


def _later(words: str) -> Response:
    return problem(503, words, headers=RETRY_AFTER)
