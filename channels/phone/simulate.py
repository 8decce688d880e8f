"""Sends a sample as Twilio would: a form signed with the newest token, over the address the world sees."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import aiohttp
import msgspec

from channels.api import FrontDoor, SimulateError
from channels.phone.settings import PhoneSettings
from channels.phone.signature import SIGNATURE, hmac_sha1_base64, parse_form, signed_bytes

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
_SECONDS = 15
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
    status, answer = await _post(f"{door.url}{path}", body, signature)
    if status != 200:
        raise SimulateError(f"{status}: {_ADVICE.get(status, 'this is not an answer of a phone inbox')}")
    return f"200 {event} {fields.get('MessageSid') or fields.get('CallSid')} {answer}"


async def _post(url: str, body: bytes, signature: str) -> tuple[int, str]:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", SIGNATURE: signature}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as client,
            client.post(url, data=body, headers=headers) as response,
        ):
            return response.status, (await response.text(errors="replace")).partition("?>")[2]
    except aiohttp.ClientConnectorError:
        raise SimulateError(f"nothing listens at {url}: is the gateway running? (make run)") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise SimulateError(f"{url}: {type(error).__name__}: {error}") from None
    except TimeoutError:
        raise SimulateError(f"no answer from {url} within {_SECONDS} seconds") from None


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
