"""Whether a machine wrote it, to how many, and whether it goes in circles: what the header says of that.

Guessed from no subject: people quote those of machines.
"""

import re
from collections.abc import Iterator

from normalizers.mail.headers import Headers, unfold
from normalizers.mail.mailboxes import read_mailboxes
from normalizers.notes import Notes
from normalizers.text import compose, find_email

LOOP_MARK = "x-gateway-loop"
"""On every mail our own side sends out, with the address it is sent from: one that comes back with the address of a
mailbox here has been here. That of somebody else's gateway is no loop of ours."""
MAX_HOPS = 50
"""Received lines; each server that handled the mail wrote one. Postfix calls it hopcount_limit."""

_MOST_READ = 10
_LONGEST_FROM = 1000
_LONGEST_LIST_ID = 255

_MACHINES = frozenset(["mailer-daemon", "mailerdaemon", "maildaemon", "mail-daemon", "mail_daemon", "mdaemon"])
_POSTMASTER = "postmaster"
_ANSWERING = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-autoreply-from",
    "x-auto-reply-from",
    "x-mail-autoreply",
    "x-vacation",
    "x-failed-recipients",
)
_NO = ("", "no", "false", "0", "none")
_EXPLICIT = ("auto_reply", "auto-reply", "autoreply")
# [MS-OXCMAIL] 2.2.3.2.14: DR, RN and NRN only ask for no receipts, as a person's mail may.
_UNANSWERABLE = frozenset(["all", "oof", "autoreply"])

_WORD = re.compile(r"[\w-]+")
_LIST_ID = re.compile(r"<([^<>\s]+)>|([^\s<>]+)\s*$")


def is_automatic(headers: Headers, null_sender: bool) -> bool:
    """A machine wrote it, so that no machine may answer. `null_sender`: MAIL FROM is `<>`."""
    return (
        null_sender
        or is_null_sender(headers)
        or _word(headers, "auto-submitted") not in ("", "no")
        or any([_word(headers, name) not in _NO for name in _ANSWERING if name in headers])
        or _word(headers, "precedence") in _EXPLICIT
        or _word(headers, "preference") in _EXPLICIT
        or not _UNANSWERABLE.isdisjoint(_words(headers, "x-auto-response-suppress"))
        or is_daemon(headers)
    )


def is_null_sender(headers: Headers) -> bool:
    """What a server before ours wrote of MAIL FROM."""
    return "return-path" in headers and headers.first("return-path").replace(" ", "") == "<>"


def is_daemon(headers: Headers, *, or_postmaster: bool = False) -> bool:
    """A postmaster may be a person, who writes to us as others do."""
    written = b"".join(headers.all("from")[:1])[:_LONGEST_FROM].lower()
    if b"daemon" not in written and _POSTMASTER.encode() not in written:
        return False
    local = {address.partition("@")[0] for address in authors(headers)} or set(_WORD.findall(unfold(written))[:1])
    return not _MACHINES.isdisjoint(local) or (or_postmaster and _POSTMASTER in local)


def is_list(headers: Headers) -> bool:
    """Sent to many. Precedence `junk` is what some servers write on anything of a machine, and is not read."""
    names = ("list-id", "list-unsubscribe", "list-post", "mailing-list", "x-mailing-list")
    return any(name in headers for name in names) or _word(headers, "precedence") in ("list", "bulk")


def list_id(headers: Headers) -> str | None:
    """RFC 2919, in lower case."""
    found = _LIST_ID.search(headers.first("list-id")[:1000]) if "list-id" in headers else None
    name = compose((found[1] or found[2]).lower()) if found else ""
    return name if name.isprintable() and 0 < len(name) <= _LONGEST_LIST_ID else None


def is_loop(headers: Headers, recipients: tuple[str, ...], automatic: bool) -> bool:
    """Too many servers, our own mark, or a machine's mail in the name of the very inbox it came to."""
    if len(headers.all("received")) > MAX_HOPS:
        return True
    if LOOP_MARK not in headers and not automatic:
        return False
    ours = {_plain(address) for address in recipients}
    marks = (_plain(unfold(value).strip("<> ")) for value in headers.all(LOOP_MARK)[:_MOST_READ])
    return not ours.isdisjoint(marks) or (automatic and not ours.isdisjoint(map(_plain, authors(headers))))


def authors(headers: Headers) -> Iterator[str]:
    """The addresses in From."""
    for value in headers.all("from")[:_MOST_READ]:
        for box in read_mailboxes(unfold(value[:_LONGEST_FROM]), Notes()):
            if box.address:
                yield box.address


def _plain(address: str) -> str:
    """Without what follows a plus: a mail comes to support+t.…@ and our answer goes out from support@."""
    local, _, domain = (find_email(address) or address.lower()).rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _word(headers: Headers, name: str) -> str:
    found = _WORD.search(headers.first(name)[:200]) if name in headers else None
    return found[0].lower() if found else ""


def _words(headers: Headers, name: str) -> list[str]:
    return _WORD.findall(headers.first(name)[:200].lower()) if name in headers else []
