"""Twilio, as far as a phone inbox can tell: forms signed over the address the world sees."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import aiohttp
from multidict import MultiDict
from pydantic import SecretStr
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from channels.phone import CHANNEL
from channels.phone.settings import PhoneSettings
from channels.testing import Door, open_door

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN, OLD_TOKEN, SHARED = "the-newest-token", "the-token-before", "a-key-of-many-bits"
PUBLIC = "http://gateway.example/channels/inbox"
SIGNATURE = "X-Twilio-Signature"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"

CALL = {
    "AccountSid": ACCOUNT,
    "CallSid": "CA0000000000000000000000000000000a",
    "From": "+821012345678",
    "To": "+827080001000",
    "CallStatus": "ringing",
    "Direction": "inbound",
}
TEXT_MESSAGE = {
    "AccountSid": ACCOUNT,
    "MessageSid": "SM0000000000000000000000000000000b",
    "From": "+821012345678",
    "To": "+827080001000",
    "Body": "안녕하세요 😢",
    "NumMedia": "0",
    "MessagingServiceSid": "",
}

Fields = Mapping[str, str] | Iterable[tuple[str, str]]


def phone_settings(**settings: Any) -> PhoneSettings:
    own = {"account_sid": ACCOUNT, "auth_tokens": (TOKEN, OLD_TOKEN), "shared_keys": {"webhooks_1": SHARED}}
    return PhoneSettings(type="phone", **{**own, **settings})


@asynccontextmanager
async def open_phone(**settings: Any) -> AsyncIterator[Door]:
    async with open_door(CHANNEL, phone_settings(**settings)) as door:
        yield door


def sign(path: str, fields: Fields, *, token: str = TOKEN, algorithm: str = "HMAC_SHA1", base: str = PUBLIC) -> str:
    """By Twilio's own library."""
    signature = RequestValidator(token).compute_signature(f"{base}{path}", MultiDict(fields), algorithm)
    return str(signature)


async def post(
    door: Door, path: str, fields: Fields, *, signature: str | None = "", headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Status and body; signed well by the newest token where nothing else is said, unsigned where None is."""
    pairs = list(MultiDict(fields).items())
    sent = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", **(headers or {})}
    if signature is not None:
        sent[SIGNATURE] = signature or sign(path, fields)
    return await send(door, path, urlencode(pairs).encode(), sent)


async def send(door: Door, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{door.url}{path}", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


def verbs(document: str) -> list[ElementTree.Element]:
    """What a TwiML document says, as an XML parser reads it."""
    root = ElementTree.fromstring(document)
    assert root.tag == "Response"
    return list(root)


def secret(value: str) -> SecretStr:
    return SecretStr(value)
