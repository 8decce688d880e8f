"""Sends a sample as X would: signed with the newest consumer secret, and with ids nobody has seen."""

from collections.abc import Mapping

import msgspec

from channels.api import FrontDoor, Outcome, SimulateError
from channels.sample_posts import send
from channels.twitter.rehearsal import rehearse
from channels.twitter.settings import TwitterSettings
from channels.twitter.signatures import HEADER, sign


class _Answer(msgspec.Struct):
    outcome: Outcome
    references: tuple[str, ...] = ()
    duplicate: bool = False


class _Problem(msgspec.Struct):
    detail: str = "this is not an answer of an X webhook"


async def simulate(settings: TwitterSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """`200 accepted T-7K3M-9QXR`; `--set` knows what `rehearse` knows."""
    try:
        body = rehearse(sample, own=next(iter(settings.own_user_ids), None), overrides=overrides)
    except ValueError as fault:
        raise SimulateError(str(fault)) from None
    url = f"{door.url}/webhook"
    headers = {"Content-Type": "application/json", HEADER: sign(settings.consumer_secrets[0], body)}
    status, answer = await send(url, body, headers)
    return _line(status, answer, url)


def _line(status: int, body: bytes, url: str) -> str:
    if status == 404:
        raise SimulateError(f"404: there is no X webhook at {url}: is the inbox enabled?")
    try:
        if status == 200:
            answer = msgspec.json.decode(body, type=_Answer)
            told = " ".join(answer.references) or "nothing to ticket"
            if answer.outcome is Outcome.REJECTED:
                told = "kept as a dead letter: the sample is damaged"
            return f"200 {answer.outcome} {told}{' (already there)' if answer.duplicate else ''}"
        detail = msgspec.json.decode(body, type=_Problem).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = _Problem().detail
    raise SimulateError(f"{status} {detail}")
