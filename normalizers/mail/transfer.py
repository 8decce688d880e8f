"""Content-Transfer-Encoding undone; what cannot be read is left out and confessed, never raised."""

import binascii
import re
from enum import Enum

from normalizers.notes import Notes

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
WHITE_SPACE = b" \t\r\n"
BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
REST = bytes(set(range(256)) - set(ALPHABET))
_IDENTITIES = ("7bit", "8bit", "binary", "7-bit", "8-bit", "none", "plain")


class Encoding(Enum):
    """What has to be undone."""

    BASE64 = "base64"
    QUOTED = "quoted-printable"
    NONE = "binary"


def transfer_encoding(value: str, notes: Notes) -> Encoding:
    """As a Content-Transfer-Encoding names it; one that nobody knows is confessed."""
    name = value.strip(" \t\"'").lower().replace(" ", "-").replace("_", "-")
    if name.startswith("base64"):
        return Encoding.BASE64
    if name.startswith("quoted-printable"):
        return Encoding.QUOTED
    if name and not name.startswith(_IDENTITIES):
        notes.add("bad_transfer_encoding", "a part names a transfer encoding that is not known: kept as it came")
    return Encoding.NONE


def decode_transfer(data: bytes, encoding: str, notes: Notes) -> bytes:
    """The bytes of a part's body; an unknown encoding leaves them as they are."""
    match transfer_encoding(encoding, notes):
        case Encoding.BASE64:
            decoded, in_order = decode_base64(data)
            if not in_order:
                note_damage(notes)
            return decoded
        case Encoding.QUOTED:
            return binascii.a2b_qp(data)
        case Encoding.NONE:
            return data


def note_damage(notes: Notes) -> None:
    notes.add("bad_transfer_encoding", "base64 is damaged: what can be read of it was kept")


def decode_base64(data: bytes) -> tuple[bytes, bool]:
    """What can be read of it, and whether it was in order; a list's footer behind it is left out."""
    packed = data.translate(None, WHITE_SPACE)
    if (decoded := _strictly(packed)) is not None:
        return decoded, True
    before_blank_line = BLANK_LINE.split(data.strip(WHITE_SPACE), maxsplit=1)[0].translate(None, WHITE_SPACE)
    if (decoded := _strictly(before_blank_line)) is not None:
        return decoded, False
    head, _, rest = packed.partition(b"=")
    rest = rest.replace(b"=", b"")
    decoded = unpadded(head.translate(None, REST))
    if rest and not rest.translate(None, ALPHABET):  # some senders encode, and pad, in pieces
        decoded += unpadded(rest)
    return decoded, False


def _strictly(packed: bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(packed, strict_mode=True)
    except binascii.Error:
        return None


def unpadded(data: bytes) -> bytes:
    usable = len(data) - 1 if len(data) % 4 == 1 else len(data)
    return binascii.a2b_base64(data[:usable] + b"=" * (-usable % 4))
