"""The fields of a form of Twilio's, tamed as they are read."""

import re
from collections.abc import Iterable
from datetime import datetime
from email.utils import parsedate_to_datetime

from normalizers.message import Address, Malformed, Problem
from normalizers.notes import Notes
from normalizers.phones import e164
from normalizers.text import clean_line, clean_text

_LONGEST_URL = 2048
_KEYPAD = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_HIDDEN = ("anonymous", "blocked", "private", "restricted", "unavailable", "unknown")
# A withheld caller ID comes as a word, as that word typed on a keypad (+266696687 is ANONYMOUS), or not at all.
_WITHHELD = {"", *_HIDDEN, *(word.translate(_KEYPAD) for word in _HIDDEN)}
_PREFIXES = frozenset({"client", "sip", "messenger", "instagram", "rcs"})
_NUMBERED = {"", "rcs", "tel", "whatsapp"}
"""Prefixes of what may be a number; `client:`, `sip:` and all others name an account."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIXED = re.compile(r"([a-z]{2,20}):(.*)", re.IGNORECASE)
_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,6}")
_BSUID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}")


class TwilioForm:
    """Reads any value as the type its place needs; what is missing or nonsense is None or empty."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in fields:
            self._values.setdefault(name, value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def id(self, *names: str) -> str:
        """The first of these that is an id. Raises `Malformed` where none is."""
        for name in names:
            if token := self.token(name):
                return token
        raise Malformed(Problem(f"/{names[0]}", "required", f"{names[0]} is missing or is no id."))

    def token(self, name: str) -> str:
        """A word of the vendor's: an id, a state, a number."""
        value = self._values.get(name, "")
        return value if _TOKEN.fullmatch(value) else ""

    def line(self, name: str, limit: int) -> str:
        return clean_line(self._values.get(name, ""), limit)

    def text(self, name: str) -> str:
        return clean_text(self._values.get(name, ""))

    def count(self, name: str) -> int | None:
        """A whole number below ten millions: seconds, files."""
        value = self._values.get(name, "")
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 7 else None

    def time(self, name: str) -> datetime | None:
        """RFC 2822 with a zone, as Twilio writes it."""
        try:
            time = parsedate_to_datetime(self._values.get(name, "")[:60])
        except (ValueError, OverflowError):
            return None
        return time if time.tzinfo else None

    def url(self, name: str) -> str | None:
        """Where a file is, in a form that a fetcher can judge."""
        value = self._values.get(name, "")
        if len(value) > _LONGEST_URL or not value.startswith(("https://", "http://")):
            return None
        return value if value.isascii() and value.isprintable() and " " not in value else None

    def whatsapp_account(self) -> Address | None:
        """The sender's account id, which stays when a number is changed or hidden; with and without its prefix."""
        account = self.line("ExternalUserId", 200).removeprefix("whatsapp:")
        return Address("whatsapp", account) if _BSUID.fullmatch(account) else None

    def address(self, name: str, region: str, notes: Notes) -> Address | None:
        """Who it is; None for a withheld number and for nonsense: nobody, and never the same nobody twice."""
        line = clean_line(self._values.get(name, "")[:400], 200)
        prefixed = _PREFIXED.fullmatch(line)
        prefix, value = (prefixed[1].lower(), prefixed[2].strip()) if prefixed else ("", line)
        if value.removeprefix("+").lower() in _WITHHELD:
            return None
        if prefix not in _NUMBERED:
            account = value.partition(";")[0]
            # `sip:anonymous@anonymous.invalid` (RFC 3323) is as good as none.
            # A prefix not known here must not become a kind of address by which a directory names customers.
            kind = prefix if prefix in _PREFIXES else f"twilio_{prefix}"
            return None if account.partition("@")[0].lower() in _WITHHELD else Address(kind, account)
        if _BSUID.fullmatch(value):
            return Address("whatsapp", value)
        if _SHORT_CODE.fullmatch(value):
            return Address("short_code", value)
        if number := e164(value, region):
            return Address("phone", number)
        if _E164.fullmatch(value):
            notes.add("number_not_valid", f"{name} is in no numbering plan known here")
            return Address("phone", value)
        notes.add("number_unreadable", f"{name} is no number that could be read")
        return None
