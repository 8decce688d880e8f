"""Where the bytes of a mail are: in the payload, or on the scratch disk."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from channels.api import Raw
from normalizers import email
from normalizers.email import MailPayload
from normalizers.mail.unread import HEAD
from normalizers.message import Message


def raw(payload: MailPayload) -> Raw:
    """The mail as it came."""
    return Raw(content=Path(payload.file) if payload.file else payload.content, media_type="message/rfc822")


def unread(payload: MailPayload, digest: str) -> Sequence[Message]:
    """As `normalizers.email.unread`, of a file its beginning."""
    if payload.file is not None:
        with suppress(OSError), Path(payload.file).open("rb") as file:
            payload = msgspec.structs.replace(payload, content=file.read(HEAD + 1))
    return email.unread(payload, digest)
