"""What kind of mail it is: written by somebody, by a machine, or a server's report about a mail of ours."""

from typing import TypeAlias

import msgspec

from normalizers.mail.automatic import is_automatic, is_daemon, is_list, is_loop, is_null_sender, list_id
from normalizers.mail.bounces import looks_bounced, read_bounce
from normalizers.mail.mime import Part
from normalizers.mail.reports import DELIVERY, Original, delivery_report, is_receipt, original
from normalizers.mail.spam import spam_of
from normalizers.mailed import Bounce, Spam
from normalizers.message import Flags, Kind
from normalizers.notes import Notes

_REPORT = "multipart/report"
_UNKNOWN_STATUS = "failed"
# Told by machines to machines, and answered by nobody: RFC 8098, RFC 5965, RFC 8460.
_NOTICES = ("disposition-notification", "feedback-report", "tlsrpt")


class Sort(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a mail that is not its author, its words or its files."""

    kind: Kind = Kind.MESSAGE
    flags: Flags = Flags()
    bounce: Bounce | None = None
    spam: Spam | None = None
    list_id: str | None = None
    about: tuple[str, ...] = ()
    """The Message-IDs of the conversation a report is about, that of our mail last."""


_Found: TypeAlias = tuple[Kind, Bounce | None, tuple[str, ...]]


def sort_of(root: Part, null_sender: bool, recipients: tuple[str, ...], notes: Notes) -> Sort:
    """`recipients`: our own addresses it came to; what a machine sends from one of them is a loop."""
    headers = root.headers
    automatic = is_automatic(headers, null_sender)
    found: _Found = Kind.MESSAGE, None, ()
    if automatic or root.media_type == _REPORT:
        found = _report(root, null_sender or is_null_sender(headers), recipients, notes)
        automatic = automatic or found[0] is not Kind.MESSAGE
    kind, bounce, about = found
    spam = spam_of(headers)
    return Sort(
        kind=kind,
        flags=Flags(
            auto_reply=automatic,
            bounce=_worst(bounce) if bounce and kind is Kind.BOUNCE else None,
            list=is_list(headers),
            loop=is_loop(headers, recipients, automatic),
            spam=spam is not None,
        ),
        bounce=bounce,
        spam=spam,
        list_id=list_id(headers),
        about=about,
    )


def _report(root: Part, null_sender: bool, recipients: tuple[str, ...], notes: Notes) -> _Found:
    """What a server or a program reports about a mail of ours, and the conversation that belongs to.

    Only of what a machine wrote or what declares itself a report: a customer's mail may hold one, too.
    """
    is_report = root.media_type == _REPORT
    kind = root.parameters.get("report-type", "").lower() if is_report else ""
    found: Bounce | None = None
    of_server = null_sender or is_daemon(root.headers, or_postmaster=True)
    if is_report or (of_server and any(child.media_type in DELIVERY for child in root.children)):
        found = delivery_report(root, notes)
    if found is not None:
        return _told(found, original(root), any(one.action == "failed" for one in found.recipients))
    if kind in _NOTICES or (is_report and is_receipt(root)):
        return Kind.NOTICE, None, original(root).conversation
    certain = kind == "delivery-status"
    if certain or looks_bounced(root.headers, null_sender):
        read = read_bounce(root, recipients, notes, certain=certain)
        if read is not None:
            return _told(*read)
    return Kind.MESSAGE, None, ()


def _told(bounce: Bounce, about: Original, failed: bool) -> _Found:
    full = msgspec.structs.replace(bounce, original_message_id=about.message_id, original_subject=about.subject)
    return Kind.BOUNCE if failed else Kind.NOTICE, full, about.conversation


def _worst(bounce: Bounce) -> str:
    """The first of the highest class: what failed for good counts more than what was given up after some days."""
    statuses = [one.status for one in bounce.recipients if one.action == "failed" and one.status]
    return max(statuses, key=lambda status: status[0]) if statuses else _UNKNOWN_STATUS
