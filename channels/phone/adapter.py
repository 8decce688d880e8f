"""The addresses that Twilio calls: a voice line that takes messages, and SMS, MMS and WhatsApp."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from aiohttp.web import Request, Response, RouteDef, StreamResponse, route

from channels.api import Host, Outcome, Receipt, Refusal
from channels.in_hand import InHand
from channels.phone.settings import Language, PhoneSettings
from channels.phone.signature import SIGNATURE, Pairs, Signatures, parse_form
from channels.phone.voice import NOTHING, VoiceLine
from channels.posts import read_post
from channels.problems import RETRY_AFTER, problem
from normalizers.phone import Event, PhonePayload

_LARGE = 16 * 1024
_MOST_FIELDS = 1000
_XML = {"Content-Type": "text/xml; charset=utf-8", "Cache-Control": "no-store"}
_CLOSED = Receipt(outcome=Outcome.DEFERRED)


class PhoneAdapter:
    """One inbox; says each outcome as TwiML, to callers so that they can still leave a message."""

    def __init__(self, settings: PhoneSettings, host: Host[PhonePayload]) -> None:
        self._host = host
        self._settings = settings
        self._account = settings.account_sid.encode()
        self._signatures = Signatures(host.public_url, settings.auth_tokens, settings.shared_keys)
        self._line = VoiceLine(f"{host.public_url}/channels/{host.inbox}", settings)
        self._in_hand = InHand()

    def routes(self) -> Sequence[RouteDef]:
        """One POST for each thing Twilio reports."""
        return [route("POST", f"/{event}", self._handler(event)) for event in Event]

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Takes reports while entered; callers can leave a message at any time."""
        return self._in_hand.opened()

    def _handler(self, event: Event) -> Callable[[Request], Awaitable[StreamResponse]]:
        async def handle(request: Request) -> StreamResponse:
            pairs = await self._verified(request)
            return pairs if isinstance(pairs, Response) else await self._take(event, request, pairs)

        return handle

    async def _verified(self, request: Request) -> Pairs | Response:
        """The form, or how it is turned away."""
        if SIGNATURE not in request.headers:
            return self._forged("no signature")
        body = await read_post(request, self._settings.max_body)
        if isinstance(body, Response):
            return body
        if body is None or body.count(b"&") >= _MOST_FIELDS:
            self._host.refused(Refusal.OVERSIZED, "form over max_body" if body is None else "too many fields")
            return problem(413, f"At most {self._settings.max_body} bytes and {_MOST_FIELDS} fields.")
        # Anybody can make us read a form: its percents are taken apart before there is a signature to judge.
        pairs = parse_form(body) if len(body) < _LARGE else await asyncio.to_thread(parse_form, body)
        if not self._signatures.verify(request.headers, request.raw_path, pairs):
            return self._forged("bad signature")
        if {value for name, value in pairs if name == b"AccountSid"} != {self._account}:
            return self._forged("another account")
        return pairs

    async def _take(self, event: Event, request: Request, pairs: Pairs) -> Response:
        if event is Event.MESSAGE_STATUS:
            self._host.refused(Refusal.UNSUPPORTED, "delivery status of an own message")
            return _twiml(NOTHING)
        fields = tuple((name.decode(errors="replace"), value.decode(errors="replace")) for name, value in pairs)
        language: Language | None = None
        if event is Event.MENU:
            values = dict(reversed(fields))
            language = self._line.chosen(values.get("Digits", ""), values.get("SpeechResult", ""))
        elif event not in (Event.MESSAGE, Event.MESSAGE_FALLBACK):
            language = self._line.language(request.query.get("lang"))
        payload = PhonePayload(
            event=event, fields=fields, default_region=self._settings.default_region, language=language
        )
        receipt = _CLOSED
        if self._in_hand.is_open:
            with self._in_hand:
                receipt = await self._host.intake(payload)
        return self._answer(event, language, receipt)

    def _answer(self, event: Event, language: Language | None, receipt: Receipt) -> Response:
        if receipt.outcome is Outcome.REJECTED:
            return _twiml(NOTHING)
        # A caller is on the line: with nowhere to write, Twilio still keeps the recording, and each later
        # report of the call announces it again.
        match event:
            case Event.VOICE | Event.VOICE_FALLBACK:
                return _twiml(self._line.welcome)
            case Event.MENU:
                return _twiml(self._line.take_message(language))
            case Event.RECORDED:
                # The first is the call's own: what the customer will be asked for.
                reference = receipt.references[0].reference if receipt.references else None
                return _twiml(self._line.thank(language, reference))
        if receipt.outcome is Outcome.DEFERRED:
            return problem(503, "The report could not be kept just now: send it again.", headers=RETRY_AFTER)
        return _twiml(NOTHING)

    def _forged(self, detail: str) -> Response:
        self._host.refused(Refusal.FORGED, detail)
        return problem(403, "This is not signed by the account of this inbox, for this address.")


def _twiml(document: str) -> Response:
    return Response(body=document.encode(), headers=_XML)
