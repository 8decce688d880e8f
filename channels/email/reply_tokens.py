"""Reply tokens: addresses and Message-IDs that prove which envelope a mail answers."""

import hmac
import re
from base64 import b32decode, b32encode
from binascii import Error as Base32Error
from collections.abc import Iterator, Sequence
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationInfo

from channels.api import ReplyTo
from channels.email.smtp.mailboxes import ANY
from normalizers.mail.headers import headers_start
from normalizers.mail.ids import id_line
from normalizers.message import Kind, Message

TAG: Final = "t."
"""Before the token in a `+tag`, and at the beginning of a Message-ID."""
HEADER: Final = 256 * 1024
"""Bytes of a mail in which its header is looked at."""

_ID, _SEAL = 16, 8
_LENGTH = 39
"""Characters of base32, without padding: it survives mail servers that change case."""
_LONGEST_LOCAL_PART = 64
"""RFC 5321 section 4.5.3.1.1."""
_SHORTEST_KEY = 32
_MOST = 50
"""Tokens that are tried of one mail."""

_FIELD = re.compile(rb"^(?:in-reply-to|references)[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE | re.MULTILINE)
_IN_MESSAGE_ID = re.compile(r"<t\.([a-z2-7]{1,64})(?=[.@])[^<>\s@]{0,200}@", re.IGNORECASE)


def _long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value().strip()) < _SHORTEST_KEY:
        raise ValueError(f"must be a secret of {_SHORTEST_KEY} characters or more")
    return key


class ReplyTokenSettings(BaseModel):
    """Whether envelopes name an address of their own for the answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[Annotated[SecretStr, AfterValidator(_long_enough)], ...] = ()
    """Secrets of 32 characters or more, newest first: that one mints, each of them verifies. None: no tokens."""


def fitting(settings: ReplyTokenSettings, info: ValidationInfo) -> ReplyTokenSettings:
    """Raises ValueError where the first plain recipient has no room for a token."""
    recipients = info.data.get("recipients")
    if not settings.keys or recipients is None:
        return settings
    home = _first_plain(recipients)
    if home is None:
        raise ValueError(f"needs a recipient without {ANY}, for answers to come back to")
    if not _fits(home):
        room = _LONGEST_LOCAL_PART - len(_tagged("", "x" * _LENGTH).removesuffix("@"))
        raise ValueError(f"needs the first recipient without {ANY} to have at most {room} characters before the @")
    return settings


Settings = Annotated[ReplyTokenSettings, AfterValidator(fitting)]


class ReplyTokens:
    """Mints and reads the tokens of one inbox; another inbox's are foreign."""

    def __init__(self, settings: ReplyTokenSettings, inbox: str) -> None:
        self._context = f"reply-token\0{inbox}\0".encode()
        self._keys = [key.get_secret_value().encode() for key in settings.keys]
        self.minted = bool(self._keys)
        """Whether there are any: without keys nothing is looked for."""

    def mint(self, id: str) -> str:
        """The token of an envelope's id, by the newest key. Raises ValueError where it is no UUID."""
        mark = UUID(id).bytes
        return b32encode(mark + self._seal(self._keys[0], mark)).decode().rstrip("=").lower()

    def read(self, token: str) -> str | None:
        """The envelope's id; None where it is none of ours."""
        if len(token) != _LENGTH or not self._keys:
            return None
        try:
            raw = b32decode(token.upper() + "=")
        except (Base32Error, ValueError):
            return None
        mark, seal = raw[:_ID], raw[_ID:]
        genuine = [hmac.compare_digest(seal, self._seal(key, mark)) for key in self._keys]
        # Of 39 characters the last has spare bits: one token has one spelling.
        return str(UUID(bytes=mark)) if any(genuine) and b32encode(raw)[:_LENGTH].decode() == token.upper() else None

    def find(self, recipients: Sequence[str], head: bytes) -> tuple[str | None, tuple[str, ...]]:
        """The id that is answered, and what says so; `head` is the beginning of the mail.

        A recipient before In-Reply-To and References, and of these the last, which is the nearest.
        """
        addressed = list(_in_recipients(recipients))[:_MOST]
        by_address = [self.read(token) for token in addressed]
        by_id = [self.read(token) for token in reversed(_in_header(head)[-_MOST:])]
        answers = next((id for id in (*by_address, *by_id) if id), None)
        evidence = [
            *(["reply_token"] if any(by_address) else []),
            *(["own_message_id"] if any(by_id) else []),
            *(["reply_token=invalid"] if None in by_address or None in by_id else []),
        ]
        return answers, tuple(evidence)

    def _seal(self, key: bytes, mark: bytes) -> bytes:
        return hmac.digest(key, self._context + mark, "sha256")[:_SEAL]


def reply_to(settings: ReplyTokenSettings, recipients: Sequence[str], inbox: str) -> ReplyTo:
    """The address that brings an answer back: the mailbox the mail came to, else the first, tagged with a token."""
    tokens = ReplyTokens(settings, inbox)
    plain = {address for address in recipients if ANY not in address and _fits(address)}
    home = _first_plain(recipients)

    def address_for(message: Message, id: str) -> str | None:
        if not settings.keys or home is None or message.kind is not Kind.MESSAGE:
            return None
        came_to = (_untagged(to.value) for to in message.recipients if to.kind == "email")
        return _tagged(next((address for address in came_to if address in plain), home), tokens.mint(id))

    return address_for


def _first_plain(recipients: Sequence[str]) -> str | None:
    return next((address for address in recipients if ANY not in address), None)


def _tagged(address: str, token: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}+{TAG}{token}@{domain}"


def _untagged(address: str) -> str:
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _fits(address: str) -> bool:
    return len(_tagged(address, "x" * _LENGTH).rpartition("@")[0].encode()) <= _LONGEST_LOCAL_PART


def _in_recipients(recipients: Sequence[str]) -> Iterator[str]:
    """Whatever claims to be a token, the broken ones too."""
    for address in recipients:
        tag = address.rpartition("@")[0].partition("+")[2]
        if tag.lower().startswith(TAG):
            yield tag[len(TAG) :]


def _in_header(head: bytes) -> list[str]:
    """In the order of the references, In-Reply-To last."""
    start = headers_start(head)
    end = head.find(b"\r\n\r\n", start, HEADER)
    header = head[start : end + 2 if end >= 0 else HEADER]
    fields = [(field[0][:1] in b"iI", field[1]) for field in _FIELD.finditer(header)]
    values = (value for _, value in sorted(fields, key=lambda one: one[0]))
    return [found[1] for value in values for found in _IN_MESSAGE_ID.finditer(id_line(value))]
