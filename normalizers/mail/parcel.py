"""What comes wrapped in something else: files in the text or in winmail.dat, an appointment in a calendar."""

from collections.abc import Sequence

import msgspec

from normalizers.mail.invitations import invitation_of
from normalizers.mail.loose import Loose
from normalizers.mail.mime import Part
from normalizers.mail.uuencoded import take_uuencoded, undo_uuencode
from normalizers.mail.winmail import is_winmail, open_winmail
from normalizers.notes import Notes


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A mail's words and files with nothing wrapped any more."""

    text: str
    files: Sequence[Part | Loose]
    invitation: str
    """An appointment in words; empty where there is none."""


def unwrap(text: str, parts: Sequence[Part], notes: Notes) -> Parcel:
    """An ordinary mail as it is; nothing that was wrapped is lost where it cannot be read."""
    words, encoded = take_uuencoded(text)
    if not parts and not encoded:
        return Parcel(text=text, files=(), invitation="")
    files: list[Part | Loose] = [*encoded]
    for part in parts:
        opened = open_winmail(part, notes) if is_winmail(part) else None
        if opened is None:
            files.append(undo_uuencode(part) or part)
        else:
            files += opened[0]
            words = words if words.strip() else opened[1]
    return Parcel(text=words, files=files, invitation=invitation_of(parts, notes))
