"""Sends a sample as Slack would: signed with the newest secret, and with ids nobody has seen."""

import time
from collections.abc import Mapping

import msgspec

from channels.api import FrontDoor, Outcome, SimulateError
from channels.chat.rehearsal import rehearse
from channels.chat.settings import ChatSettings
from channels.chat.signatures import sign
from channels.sample_posts import send


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
    status, body = await send(url, rehearsed.body, headers)
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
