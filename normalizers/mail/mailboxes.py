"""Whom a header such as From names: its structure is read before any encoded word, so that none becomes an address.

The libraries at hand disagree about headers such as `From: vip@bank.example <attacker@evil.example>`, and a wrong
answer here is a stranger served as a customer.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from normalizers.mail.headers import decode_words
from normalizers.notes import Notes
from normalizers.text import clean_line, compose

_LONGEST_NAME = 200
_LONGEST_ADDRESS = 320
_LONGEST_SEARCHED = 4096
_MOST_MAILBOXES = 1000
_MOST_TOKENS = 10 * _MOST_MAILBOXES

_CUT = ("from_cut", "From goes on beyond what is read of it")

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
    """Whether the name shows an address that is not this mailbox's, or may do so further on than was read."""


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
            return [*_named(phrase or comment, [first], notes), *(Mailbox("", other) for other in others)]
        if address := _address(phrase):
            return _named(comment, [address], notes)
        words = phrase.split()
        addresses = (address for word in words if "@" in word and (address := _address(word)))
        if found := list(islice(addresses, _MOST_MAILBOXES)):
            return _named(" ".join(word for word in words if "@" not in word) or comment, found, notes)
        return _named(phrase or comment, [None], notes) if phrase or comment else []


def read_mailboxes(line: str, notes: Notes, most: int = _MOST_MAILBOXES, cut: tuple[str, str] = _CUT) -> list[Mailbox]:
    """The mailboxes of one unfolded header in order; one without an address only if it is alone.

    `cut`: the warning where there are more than `most`.
    """
    boxes: list[Mailbox] = []
    for number, item in enumerate(_items(line, notes, cut)):
        if max(number, len(boxes)) >= most:
            notes.add(*cut)
            break
        boxes += item.mailboxes(notes)
    del boxes[most:]
    poses = any(box.poses for box in boxes if box.address is None)
    if cut[0] in notes and len([box for box in boxes if box.address]) == 1:
        poses = True  # who else is named was not read
    usable: list[Mailbox] = []
    loose = ""
    for box in boxes:
        if box.address is None:  # `Doe, John <john@…>`: a comma nobody quoted
            loose = f"{loose}{box.name}, " if box.name else loose
        else:
            usable.append(Mailbox(clean_line(loose + box.name, _LONGEST_NAME), box.address, poses or box.poses))
            loose = ""
    return usable or boxes[:1]


def _items(line: str, notes: Notes, cut: tuple[str, str]) -> Iterator[_Item]:
    item = _Item()
    angle: list[str] | None = None
    depth = 0
    for number, token in enumerate(_TOKEN.finditer(line)):
        if number == _MOST_TOKENS:
            notes.add(*cut)
            break
        text = token[0]
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
            yield item
            item = _Item()
        else:
            item.phrase.append(text)
    if angle is not None:
        item.angles.append("".join(angle))
    yield item


def _address(written: str) -> str | None:
    text = written.strip()
    if route := _ROUTE.match(text):
        text = text[route.end() :]
    if len(text) > _LONGEST_ADDRESS or not (parts := _ADDRESS.fullmatch(compose(text).lower())):
        return None
    local, domain = parts.groups()
    if local.startswith('"'):
        bare = _ESCAPED.sub(r"\1", local[1:-1])
        local = bare if _ADDRESS.fullmatch(f"{bare}@x") and not bare.startswith('"') else local
    address = f"{local}@{domain}"
    return address if _DOMAIN.fullmatch(domain) and address.isprintable() else None


def _named(written: str, addresses: Sequence[str | None], notes: Notes) -> list[Mailbox]:
    """Mailboxes that share a name; it is read once, for it may be as long as the header."""
    plain = _QUOTED.sub(lambda quoted: _ESCAPED.sub(r"\1", quoted[1]), written)
    decoded = decode_words(plain, notes)
    seen = _INVISIBLE.sub("", unicodedata.normalize("NFKC", compose(decoded[:_LONGEST_SEARCHED]))).lower()
    shown = set(_SHOWN_ADDRESS.findall(seen))
    name = clean_line(decoded, _LONGEST_NAME).strip("'\" ")
    return [
        Mailbox(name, address, bool(shown) and not shown <= set(_SHOWN_ADDRESS.findall(address or "")))
        for address in addresses
    ]
