"""A mail as it lies in a mailbox: whom it was for, who sent it, and what stands in for one that cannot be fetched."""

from collections.abc import Callable, Iterator
from typing import Final

from channels.email.line_ends import CRLF, as_by_smtp
from normalizers.mail.headers import Headers, read_headers, unfold
from normalizers.mail.mailboxes import read_mailboxes
from normalizers.notes import Notes

HEADER: Final = 256 * 1024
"""Bytes of a mail in which its header is looked for."""

_ENVELOPE = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to")
"""What servers note of RCPT TO when they put a mail into its mailbox."""
_VISIBLE = ("to", "cc", "resent-to", "resent-cc")
_KEPT = (
    *(
        "Authentication-Results",
        "From",
        "Sender",
        "Reply-To",
        "To",
        "Cc",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
    ),
    *("Auto-Submitted", "List-Id", "Precedence"),
)
_ALL_OF_THEM = ("Authentication-Results", "From")
"""Two authors stay two, and what the server in front found out about them stays said."""
_NO_SUBJECT = b"A mail that could not be fetched"

Find = Callable[[str], str | None]
"""The address as ours is spelled, or None."""


class Letter:
    """The header of a mail, read once."""

    def __init__(self, content: bytes) -> None:
        self._headers = _headers(content)

    def recipients(self, find: Find, otherwise: str) -> tuple[str, ...]:
        """Those of ours it was delivered to, else those it names, else `otherwise`."""
        for names in (_ENVELOPE, _VISIBLE):
            ours = (find(address) for name in names for address in self._addresses(name))
            if found := tuple(dict.fromkeys(one for one in ours if one is not None)):
                return found
        return (otherwise,)

    @property
    def null_sender(self) -> bool:
        """Whether the last server noted that it was `<>`."""
        return self._headers.first("return-path").strip() == "<>"

    @property
    def mail_from(self) -> str:
        """What the last server noted; From stands in where it noted nothing, for an empty one means a bounce."""
        if self.null_sender:
            return ""
        return next(iter([*self._addresses("return-path"), *self._addresses("from")]), "")

    def _addresses(self, name: str) -> Iterator[str]:
        notes = Notes()
        for value in self._headers.all(name):
            line = unfold(value)
            yield from (_spelled(box.address, line) for box in read_mailboxes(line, notes) if box.address)


def _spelled(address: str, line: str) -> str:
    """As the line has it: a tag may be a token, whose capitals count."""
    at = line.lower().find(address)
    found = line[at : at + len(address)] if at >= 0 else address
    return found if found.lower() == address else address


def notice(header: bytes | None, folder: str, uid: int, why: str) -> bytes:
    """A mail with the header of the one that stays where it is, and a text that says where that is."""
    headers = _headers(header or b"")
    kept = ((name, headers.all(name.lower())[: None if name in _ALL_OF_THEM else 1]) for name in _KEPT)
    lines = [name.encode() + b":" + value.rstrip() + CRLF for name, values in kept for value in values]
    if "subject" not in headers:
        lines.append(b"Subject: " + _NO_SUBJECT + CRLF)
    lines.append(b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
    text = (
        f"[The gateway did not bring this mail here: {why}.\r\n"
        f"It is in the mailbox: folder {folder}, UID {uid}. Read it there.]\r\n"
    )
    return as_by_smtp(b"".join(lines) + CRLF + text.encode())


def _headers(content: bytes) -> Headers:
    return read_headers(content, 0, min(len(content), HEADER), Notes())[0]
