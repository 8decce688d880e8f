"""POSTs of programs: told apart by their keys, read within bounds, each outcome as JSON or a problem document."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from itertools import count

import msgspec
from aiohttp.web import Request, RequestPayloadError, Response, StreamResponse
from multidict import istr

from channels.answers import AcceptedResponse
from channels.api import Outcome, Receipt
from channels.bodies import read_body
from channels.problems import RETRY_AFTER, problem
from normalizers.message import Problem

JSON = "application/json"

_READ_SECONDS = 30
_LONGEST_KEY = 255
_IDEMPOTENCY_KEY = istr("Idempotency-Key")


class SubmissionId(msgspec.Struct, frozen=True):
    """Which POST it is, and whether its sender says so."""

    value: str
    keyed: bool


class SubmissionIds:
    """By the `Idempotency-Key`; without one, ids that no other process, and no later start of this one, gives again."""

    def __init__(self) -> None:
        self._prefix, self._numbers = secrets.token_hex(16), count()

    def of(self, request: Request) -> SubmissionId | Response:
        """The id, or a 400 for a key that cannot be one."""
        key = request.headers.get(_IDEMPOTENCY_KEY)
        if key is None:
            return SubmissionId(f"{self._prefix}-{next(self._numbers)}", keyed=False)
        if not (0 < len(key) <= _LONGEST_KEY and key.isprintable()):
            return problem(400, f"Idempotency-Key must be 1 to {_LONGEST_KEY} printable characters.")
        return SubmissionId("key:" + hashlib.sha256(key.encode()).hexdigest(), keyed=True)


async def read_post(request: Request, limit: int) -> bytes | Response | None:
    """The body; None where it is larger than `limit` bytes; a 408 or 400 where it does not come or decompress."""
    try:
        return await read_body(request, limit, seconds=_READ_SECONDS)
    except TimeoutError:
        return problem(408, f"The body did not arrive within {_READ_SECONDS} seconds.")
    except RequestPayloadError:
        response = problem(400, "The body does not match its Content-Encoding or Transfer-Encoding.")
        response.force_close()
        # aiohttp would read on, meet its own exception again and log it with a stack trace.
        request.content.feed_eof()
        return response


class _Answer(msgspec.Struct, frozen=True):
    reference: str | None
    id: str | None
    duplicate: bool
    reply_by: datetime | None


_NO_REFERENCE = _Answer(None, None, False, None)
_encode = msgspec.json.Encoder().encode


def to_program(receipt: Receipt) -> StreamResponse:
    """202 with the first reference, 422 with every problem, or 503."""
    if receipt.outcome is Outcome.ACCEPTED:
        first = receipt.references[0] if receipt.references else _NO_REFERENCE
        answer = _Answer(first.reference, first.id, first.duplicate, first.reply_by)
        return AcceptedResponse(_encode(answer))
    if receipt.outcome is Outcome.DEFERRED:
        return problem(503, "The message could not be kept just now: send it again.", headers=RETRY_AFTER)
    return problem(422, _summary(receipt.problems), errors=receipt.problems)


def _summary(problems: Sequence[Problem]) -> str:
    return problems[0].message if len(problems) == 1 else "The message was not taken: see errors."
