"""Who wrote it: exactly one From with exactly one mailbox is a claim, alignment proves it, all else is evidence."""

import msgspec

from normalizers.mail.headers import Headers, unfold
from normalizers.mail.mailboxes import Mailbox, read_mailboxes
from normalizers.mailed import Authentication
from normalizers.message import Address, Proof, Requester
from normalizers.notes import Notes
from normalizers.text import find_email

_MOST_MAILBOXES = 1000
_MOST_ADDRESSES = 100


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """The requester of a mail, and what that rests on."""

    requester: Requester
    proof: Proof
    evidence: tuple[str, ...]


def read_author(headers: Headers, mail_from: str, authentication: Authentication | None, notes: Notes) -> Author:
    """Whatever could be read in two ways is suspect, whoever signed it."""
    fields = headers.all("from")
    boxes: list[Mailbox] = []
    for field in fields:
        boxes += read_mailboxes(unfold(field), notes)
        if len(boxes) >= _MOST_MAILBOXES:
            break
    found = [box.address for box in boxes if box.address]
    against: list[str] = []
    if len(fields) > 1:
        against.append(f"from_headers={len(fields)}")
    if len(found) > 1:
        against.append(f"from_mailboxes={len(found)}")
    if any(box.poses for box in boxes):
        against.append("from_name_has_address")
    missing = not found
    if missing:
        notes.add("from_missing", "no address in From: the envelope sender stands in, if there is one")
        envelope = find_email(mail_from.strip("<> "))
        found = [envelope] if envelope else []
    if len(found) > _MOST_ADDRESSES:
        notes.add("from_cut", f"of the addresses in From the first {_MOST_ADDRESSES} were kept")
    addresses = tuple(Address("email", address) for address in dict.fromkeys(found[:_MOST_ADDRESSES]))
    proof = Proof.SUSPECT if against else Proof.CLAIMED if addresses else Proof.ANONYMOUS
    requester = Requester(addresses=addresses, name=next((box.name for box in boxes if box.name), None))
    return Author(requester=requester, proof=proof, evidence=(*(["from_missing"] if missing else []), *against))
