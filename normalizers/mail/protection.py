"""How a mail is signed or sealed. Nothing is verified or opened here: its parts are kept as they came."""

import re
from collections.abc import Sequence
from typing import Literal

from normalizers.mail.mime import Part
from normalizers.notes import Notes

Protection = Literal["smime_signed", "smime_encrypted", "pgp_signed", "pgp_encrypted"]

_HEAD = 256

_SMIME = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_BY_PART: dict[str, Protection] = {
    "application/pgp-encrypted": "pgp_encrypted",
    "application/pgp-signature": "pgp_signed",
    "application/pkcs7-signature": "smime_signed",
    "application/x-pkcs7-signature": "smime_signed",
}
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # the object identifier 1.2.840.113549.1.7.2, RFC 5652
_ARMOR = "-----BEGIN PGP "
_ARMORED = re.compile(r"^-----BEGIN PGP (MESSAGE|SIGNED MESSAGE)-----[ \t]*$", re.MULTILINE)


def protection_of(text: str, files: Sequence[Part], notes: Notes) -> Protection | None:
    """Sealed counts more than signed; a warning says where words could not be read."""
    found: set[Protection] = {_BY_PART[part.media_type] for part in files if part.media_type in _BY_PART}
    for part in files:
        if part.media_type in _SMIME:
            kind = _smime(part)
            found.add(kind)
            if kind == "smime_signed":
                notes.add("encrypted", "what was written is inside its S/MIME signature, which is not opened here")
    if _ARMOR in text:
        for block in _ARMORED.finditer(text):
            found.add("pgp_encrypted" if block[1] == "MESSAGE" else "pgp_signed")
    for sealed in ("smime_encrypted", "pgp_encrypted"):
        if sealed in found:
            notes.add("encrypted", "what was written is encrypted, and no key is kept here")
            return sealed
    return next((signed for signed in ("smime_signed", "pgp_signed") if signed in found), None)


def _smime(part: Part) -> Protection:
    declared = part.parameters.get("smime-type", "").lower()
    if not declared and _SIGNED_DATA in part.body(Notes(), _HEAD)[:_HEAD]:
        return "smime_signed"
    return "smime_signed" if declared in ("signed-data", "certs-only") else "smime_encrypted"
