"""Who a From header names: its structure is read before any encoded word, so no decoded word becomes an address.

The libraries at hand disagree about headers such as `From: vip@bank.example <attacker@evil.example>`, and a wrong
answer here is a stranger served as a customer.
"""

import re
import unicodedata

import msgspec

from normalizers.mail.headers import decode_words
from normalizers.notes import Notes
from normalizers.text import clean_line, compose

_LONGEST_NAME = 200
_LONGEST_ADDRESS = 320
_LONGEST_SEARCHED = 4096
_MOST_MAILBOXES = 1000

_TOKEN = re.compile(
    r"""(?P<quoted>"[^"\\]*(?:\\.[^"\\]*)*"?)
      | (?P<special>[<>(),;:])
      | (?P<plain>[^"<>(),;:]+)""",
    re.VERBOSE | re.DOTALL,
)
_ROUTE = re.compile(r"@[^:\"]*:\s*")
_ADDRESS = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*"|[^\s"<>(),;:@\\]+)@([^\s"<>(),;@\\]+?)\.?', re.DOTALL)
_DOMAIN = re.compile(r"\w(?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)*|\[[0-9a-f.:]+\]")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"?', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
_SHOWN_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]+\.[\w.-]*\w")


class Mailbox(msgspec.Struct, frozen=True):
    """One author as the header has it."""

    name: str
    """Decoded and cleaned; empty where there is none."""
    address: str | None
    """Lower case; None where what stands there is no address."""
    poses: bool = False
    """Whether the name shows an address that is not this mailbox's."""


class _Item:
    """What stands between two commas."""

    def __init__(self) -> None:
        self.phrase: list[str] = []
        self.comment: list[str] = []
        self.angles: list[str] = []

    def mailboxes(self, notes: Notes) -> list[Mailbox]:
        phrase = "".join(self.phrase).strip()
        comment = "".join(self.comment)
        if self.angles:
            first, *others = (_address(angle) for angle in self.angles)
            return [_mailbox(phrase or comment, first, notes), *(Mailbox("", other) for other in others)]
        if address := _address(phrase):
            return [_mailbox(comment, address, notes)]
        words = phrase.split()
        found = [address for word in words if "@" in word and (address := _address(word))]
        name = " ".join(word for word in words if "@" not in word) if found else phrase
        boxes = [_mailbox(name or comment, address, notes) for address in found]
        return boxes or ([_mailbox(phrase or comment, None, notes)] if phrase or comment else [])


def read_mailboxes(line: str, notes: Notes) -> list[Mailbox]:
    """The mailboxes of one unfolded header in order, at most 1,000; one without an address only if it is alone."""
    boxes: list[Mailbox] = []
    for item in _items(line):
        boxes += item.mailboxes(notes)
        if len(boxes) >= _MOST_MAILBOXES:
            break
    poses = any(box.poses for box in boxes if box.address is None)
    usable: list[Mailbox] = []
    loose = ""
    for box in boxes:
        if box.address is None:  # `Doe, John <john@…>`: a comma nobody quoted
            loose = f"{loose}{box.name}, " if box.name else loose
        else:
            usable.append(Mailbox(clean_line(loose + box.name, _LONGEST_NAME), box.address, poses or box.poses))
            loose = ""
    return usable or boxes[:1]


def _items(line: str) -> list[_Item]:
    items = [_Item()]
    angle: list[str] | None = None
    depth = 0
    for token in _TOKEN.finditer(line):
        text, item = token[0], items[-1]
        special = text if token.lastgroup == "special" else ""
        if depth or special == "(":
            depth += (special == "(") - (special == ")")
            item.comment.append(text if depth > (special == "(") else " ")
        elif special == "<":
            angle = []
        elif angle is not None and special != ">":
            angle.append(text)
        elif special == ">":
            item.angles += ["".join(angle)] if angle is not None else []
            angle = None
        elif special == ":":
            item.phrase.clear()  # what stood before it is the name of a group
        elif special:
            items.append(_Item())
        else:
            item.phrase.append(text)
    if angle is not None:
        items[-1].angles.append("".join(angle))
    return items


def _address(written: str) -> str | None:
    text = _ROUTE.sub("", written.strip(), count=1) if written.lstrip().startswith("@") else written.strip()
    if len(text) > _LONGEST_ADDRESS or not (parts := _ADDRESS.fullmatch(compose(text).lower())):
        return None
    local, domain = parts.groups()
    if local.startswith('"'):
        bare = _ESCAPED.sub(r"\1", local[1:-1])
        local = bare if _ADDRESS.fullmatch(f"{bare}@x") and not bare.startswith('"') else local
    address = f"{local}@{domain}"
    return address if _DOMAIN.fullmatch(domain) and address.isprintable() else None


def _mailbox(written: str, address: str | None, notes: Notes) -> Mailbox:
    plain = _QUOTED.sub(lambda quoted: _ESCAPED.sub(r"\1", quoted[1]), written)
    decoded = decode_words(plain, notes)
    seen = _INVISIBLE.sub("", unicodedata.normalize("NFKC", compose(decoded[:_LONGEST_SEARCHED]))).lower()
    poses = not set(_SHOWN_ADDRESS.findall(seen)) <= set(_SHOWN_ADDRESS.findall(address or ""))
    return Mailbox(clean_line(decoded, _LONGEST_NAME).strip("'\" "), address, poses)
