"""What kind of mail it is: written by somebody, by a machine, or a server's report about a mail of ours."""

import msgspec

from normalizers.mail.headers import Headers
from normalizers.mail.mime import Part
from normalizers.mailed import Bounce, Spam
from normalizers.message import Flags, Kind
from normalizers.notes import Notes


class Sort(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a mail that is not its author, its words or its files."""

    kind: Kind = Kind.MESSAGE
    flags: Flags = Flags()
    bounce: Bounce | None = None
    spam: Spam | None = None
    list_id: str | None = None


def sort_of(root: Part, mail_from: str, recipients: tuple[str, ...], notes: Notes) -> Sort:
    """`recipients`: our own addresses it came to; what a machine sends from one of them is a loop."""
    return Sort(flags=_flags(root.headers))


def _flags(headers: Headers) -> Flags:
    submitted = headers.first("auto-submitted").partition(";")[0].strip().lower()
    answers = "x-auto-response-suppress" in headers or "x-autoreply" in headers
    return Flags(auto_reply=answers or submitted not in ("", "no"), list="list-id" in headers)
