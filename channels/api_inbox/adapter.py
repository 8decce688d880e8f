"""The front door for programs: one POST with a bearer token is one ticket."""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from aiohttp.hdrs import AUTHORIZATION
from aiohttp.web import Request, Response, RouteDef, StreamResponse, route

from channels.api import Host, Outcome, Receipt, Refusal
from channels.api_inbox.settings import ApiClient, ApiSettings
from channels.in_hand import InHand
from channels.posts import JSON, SubmissionIds, read_post, to_program
from channels.problems import problem
from channels.verify import matches
from normalizers.api_inbox import ApiPayload

_CLOSED = Receipt(outcome=Outcome.DEFERRED)


class ApiAdapter:
    """One inbox; who may post is known by the digests of their tokens."""

    def __init__(self, settings: ApiSettings, host: Host[ApiPayload]) -> None:
        self._host = host
        self._clients = settings.clients
        self._max_body = settings.max_body
        self._ids = SubmissionIds()
        self._in_hand = InHand()

    def routes(self) -> Sequence[RouteDef]:
        """Where tickets are posted."""
        return (route("POST", "/messages", self._submit),)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Takes tickets while entered; before and after, 503."""
        return self._in_hand.opened()

    async def _submit(self, request: Request) -> StreamResponse:
        token = _token(request)
        if token is None:
            return self._forged("no bearer token", 401, "A bearer token is needed.", "Bearer")
        client = self._client(token)
        if client is None:
            challenge = 'Bearer error="invalid_token"'
            return self._forged("unknown token", 401, "This token is not known here.", challenge)
        if "write" not in client.scopes:
            challenge = 'Bearer error="insufficient_scope", scope="write"'
            return self._forged("token without scope", 403, "This token may not post tickets.", challenge)
        if request.content_type != JSON:
            self._host.refused(Refusal.UNSUPPORTED, "media type of a ticket")
            return problem(415, f"Send {JSON}.", headers={"Accept-Post": JSON})
        submission = self._ids.of(request)
        if isinstance(submission, Response):
            return submission
        body = await read_post(request, self._max_body)
        if isinstance(body, Response):
            return body
        if body is None:
            self._host.refused(Refusal.OVERSIZED, "body over max_body")
            return problem(413, f"The body may have at most {self._max_body} bytes.")
        if not self._in_hand.is_open:
            return to_program(_CLOSED)
        payload = ApiPayload(client=client.name, body=body, submission_id=submission.value, keyed=submission.keyed)
        # aiohttp leaves a handler alone when its client hangs up (handler_cancellation is off): no task, no shield.
        with self._in_hand:
            return to_program(await self._host.intake(payload))

    def _client(self, token: bytes) -> ApiClient | None:
        digest = hashlib.sha256(token).hexdigest()
        # All of them every time: how long it takes says nothing about which one it is.
        found = [client for client in self._clients if matches(digest, (client.token_sha256,))]
        return found[0] if found else None

    def _forged(self, why: str, status: int, detail: str, challenge: str) -> Response:
        self._host.refused(Refusal.FORGED, why)
        return problem(status, detail, headers={"WWW-Authenticate": challenge})


def _token(request: Request) -> bytes | None:
    scheme, _, token = request.headers.get(AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    # aiohttp decodes headers so (RFC 9110 section 5.5 lets any byte in).
    return token.strip().encode("utf-8", "surrogateescape")
