"""Content-Transfer-Encoding undone; what cannot be read is left out and confessed, never raised."""

import binascii
import re

from normalizers.notes import Notes

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_WHITE_SPACE = b" \t\r\n"
_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
_REST = bytes(set(range(256)) - set(_ALPHABET))
_IDENTITIES = ("7bit", "8bit", "binary", "7-bit", "8-bit", "none", "plain")


def decode_transfer(data: bytes, encoding: str, notes: Notes) -> bytes:
    """The bytes of a part's body; an unknown encoding leaves them as they are."""
    name = encoding.strip(" \t\"'").lower().replace(" ", "-").replace("_", "-")
    if name.startswith("base64"):
        decoded, in_order = decode_base64(data)
        if not in_order:
            notes.add("bad_transfer_encoding", "base64 is damaged: what can be read of it was kept")
        return decoded
    if name.startswith("quoted-printable"):
        return binascii.a2b_qp(data)
    if name and not name.startswith(_IDENTITIES):
        notes.add("bad_transfer_encoding", "a part names a transfer encoding that is not known: kept as it came")
    return data


def decode_base64(data: bytes) -> tuple[bytes, bool]:
    """What can be read of it, and whether it was in order; a list's footer behind it is left out."""
    packed = data.translate(None, _WHITE_SPACE)
    if (decoded := _strictly(packed)) is not None:
        return decoded, True
    before_blank_line = _BLANK_LINE.split(data.strip(_WHITE_SPACE), maxsplit=1)[0].translate(None, _WHITE_SPACE)
    if (decoded := _strictly(before_blank_line)) is not None:
        return decoded, False
    head, _, rest = packed.partition(b"=")
    rest = rest.replace(b"=", b"")
    decoded = _unpadded(head.translate(None, _REST))
    if rest and not rest.translate(None, _ALPHABET):  # some senders encode, and pad, in pieces
        decoded += _unpadded(rest)
    return decoded, False


def _strictly(packed: bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(packed, strict_mode=True)
    except binascii.Error:
        return None


def _unpadded(data: bytes) -> bytes:
    usable = len(data) - 1 if len(data) % 4 == 1 else len(data)
    return binascii.a2b_base64(data[:usable] + b"=" * (-usable % 4))
