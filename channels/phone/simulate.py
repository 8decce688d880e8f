"""Sends a sample as Twilio would: a form signed with the newest token, over the address the world sees."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import msgspec

from channels.api import FrontDoor, SimulateError
from channels.phone.settings import PhoneSettings
from channels.phone.signature import SIGNATURE, hmac_sha1_base64, parse_form, signed_bytes
from channels.sample_posts import send

EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "voice": "voice",
        "menu": "voice/menu",
        "recorded": "voice/recorded",
        "recording-status": "voice/recording-status",
        "transcription": "voice/transcription",
        "status": "voice/status",
        "voice-fallback": "voice/fallback",
        "sms": "messages",
        "mms": "messages",
        "whatsapp": "messages",
        "message-status": "messages/status",
        "message-fallback": "messages/fallback",
    }
)
"""What `event` may be, and the path each is posted to."""

_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,60}")
_ADVICE = {
    403: "the signature was refused: do http.public_url and auth_tokens here agree with the running gateway?",
    404: "there is no phone inbox at this address: is it enabled?",
    413: "the form is too large",
    503: "the gateway could not keep it just now: send it again",
}


async def simulate(settings: PhoneSettings, door: FrontDoor, sample: bytes, overrides: Mapping[str, str], /) -> str:
    """`200 voice CA… <Response>…`; `--set` knows event, lang and every parameter of Twilio's by its own name."""
    fields = {**_fields(sample), **overrides}
    event, language = fields.pop("event", "sms"), fields.pop("lang", None)
    if event not in EVENTS:
        raise SimulateError(f"event is {', '.join(EVENTS)}, not {event}")
    if odd := sorted(name for name in fields if not _FIELD.fullmatch(name)):
        raise SimulateError(f"--set knows event, lang and Twilio's parameters such as From and Body, not {odd[0]}")
    fields = _ids(event, settings.account_sid) | fields
    if event == "whatsapp":
        fields |= {name: _whatsapp(fields[name]) for name in ("From", "To") if name in fields}
    path = f"/{EVENTS[event]}" + (f"?{urlencode({'lang': language})}" if language else "")
    body = urlencode(fields, errors="surrogatepass").encode()
    url = f"{door.public_url}{urlsplit(door.url).path}{path}"
    signature = hmac_sha1_base64(settings.auth_tokens[0], signed_bytes(url, parse_form(body)))
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", SIGNATURE: signature}
    status, answer = await send(f"{door.url}{path}", body, headers)
    if status != 200:
        raise SimulateError(f"{status}: {_ADVICE.get(status, 'this is not an answer of a phone inbox')}")
    twiml = answer.decode(errors="replace").partition("?>")[2]
    return f"200 {event} {fields.get('MessageSid') or fields.get('CallSid')} {twiml}"


def _fields(sample: bytes) -> dict[str, str]:
    try:
        return msgspec.json.decode(sample, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SimulateError(f"the sample is not a JSON object of strings: {error}") from None


def _ids(event: str, account: str) -> dict[str, str]:
    """New each time, so that each sending is a ticket of its own."""
    made = {"AccountSid": account, "ApiVersion": "2010-04-01"}
    if EVENTS[event].startswith("messages"):
        return made | {"MessageSid": f"SM{uuid4().hex}", "NumMedia": "0"}
    if event in ("recorded", "recording-status", "transcription"):
        recording = f"RE{uuid4().hex}"
        url = f"https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{recording}"
        made |= {"RecordingSid": recording, "RecordingUrl": url}
    return made | {"CallSid": f"CA{uuid4().hex}"}


def _whatsapp(address: str) -> str:
    return address if address.startswith("whatsapp:") else f"whatsapp:{address}"
