"""Sends a sample as Slack would: signed with the newest secret, and with ids nobody has seen."""

import time
from collections.abc import Mapping

import aiohttp
import msgspec

from channels.api import FrontDoor, Outcome, SimulateError
from channels.chat.rehearsal import rehearse
from channels.chat.settings import ChatSettings
from channels.chat.signatures import sign

_SECONDS = 15


class _Answer(msgspec.Struct):
    outcome: Outcome | None = None
    references: tuple[str, ...] = ()
    duplicate: bool = False
    challenge: str | None = None
    detail: str = "this is not an answer of a Slack inbox"


async def simulate(settings: ChatSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """`200 accepted T-7K3M-9QXR ts 1763852400.123456`; `--set` knows what `rehearse` knows."""
    moment = time.time()
    try:
        rehearsed = rehearse(sample, overrides, moment)
    except ValueError as fault:
        raise SimulateError(str(fault)) from None
    url = f"{door.url}/events"
    headers = {"Content-Type": "application/json"}
    headers |= sign(settings.signing_secrets[0], str(int(moment)), rehearsed.body)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as client,
            client.post(url, data=rehearsed.body, headers=headers) as response,
        ):
            status, body = response.status, await response.read()
    except aiohttp.ClientConnectorError:
        raise SimulateError(f"nothing listens at {url}: is the gateway running? (make run)") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise SimulateError(f"{url}: {type(error).__name__}: {error}") from None
    except TimeoutError:
        raise SimulateError(f"no answer from {url} within {_SECONDS} seconds") from None
    if status == 404:
        raise SimulateError(f"404: there is no Slack inbox at {url}: is it enabled?")
    return _line(status, body) + (f" ts {rehearsed.ts}" if rehearsed.ts else "")


def _line(status: int, body: bytes) -> str:
    try:
        answer = msgspec.json.decode(body, type=_Answer) if body else _Answer()
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = _Answer()
    if status != 200 or (answer.outcome is None and answer.challenge is None):
        raise SimulateError(f"{status} {answer.detail}")
    if answer.outcome is None:
        return "200 challenge answered"
    told = " ".join(answer.references) or "nothing to ticket"
    if answer.outcome is Outcome.REJECTED:
        told = "kept as a dead letter: the sample is damaged"
    return f"200 {answer.outcome.value} {told}{' (already there)' if answer.duplicate else ''}"
