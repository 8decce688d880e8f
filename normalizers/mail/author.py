"""Who wrote it: exactly one From with exactly one mailbox is a claim, alignment proves it, all else is evidence."""

import re
from collections.abc import Iterator

import msgspec

from normalizers.mail.headers import Headers, unfold
from normalizers.mail.mailboxes import Mailbox, read_mailboxes
from normalizers.mailed import Authentication, Correspondent
from normalizers.message import Address, Proof, Requester
from normalizers.notes import Notes
from normalizers.text import find_email

_MOST_MAILBOXES = 1000
_MOST_ADDRESSES = 100
_MOST_SIGNATURES = 5
_OURSELVES = "gateway"

_CUT = ("correspondents_cut", f"of Sender, Reply-To, To and Cc the first {_MOST_ADDRESSES} addresses each were kept")

_STRANGE = re.compile(r"[^\w.@:-]", re.ASCII)


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """The requester of a mail, and what that rests on."""

    requester: Requester
    proof: Proof
    evidence: tuple[str, ...]


class Correspondents(msgspec.Struct, frozen=True, kw_only=True):
    """Whom else the header names: claims, and nobody's identity."""

    sender: Correspondent | None
    reply_to: tuple[Correspondent, ...]
    to: tuple[Correspondent, ...]
    cc: tuple[Correspondent, ...]


def read_author(headers: Headers, mail_from: str, authentication: Authentication | None, notes: Notes) -> Author:
    """Whatever could be read in two ways is suspect, whoever signed it."""
    fields = headers.all("from")
    boxes = _boxes(fields, notes)
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
    if against or _disowned(authentication):
        proof = Proof.SUSPECT
    elif not addresses:
        proof = Proof.ANONYMOUS
    else:
        proof = Proof.CLAIMED if missing or not _proven(authentication) else Proof.VERIFIED
    evidence = (*(["from_missing"] if missing else []), *against, *_found(authentication))
    if addresses and proof is not Proof.VERIFIED and _answers_go_elsewhere(headers, found):
        evidence = (*evidence, "reply_to_differs")
    requester = Requester(addresses=addresses, name=next((box.name for box in boxes if box.name), None))
    return Author(requester=requester, proof=proof, evidence=evidence)


def only_author(headers: Headers, named: list[str]) -> str | None:
    """The one mailbox of the one From: whom alone a check can prove. `named`: what `authors` found."""
    return named[0] if len(named) == len(headers.all("from")) == 1 else None


def authors(headers: Headers) -> list[str]:
    """Every address in From; with none of them the envelope sender stands in."""
    return [box.address for box in _boxes(headers.all("from"), Notes()) if box.address]


def read_correspondents(headers: Headers, notes: Notes) -> Correspondents:
    """At most 100 of each."""
    sender = _correspondents(headers, "sender", notes)
    return Correspondents(
        sender=sender[0] if sender else None,
        reply_to=_correspondents(headers, "reply-to", notes),
        to=_correspondents(headers, "to", notes),
        cc=_correspondents(headers, "cc", notes),
    )


def _boxes(fields: list[bytes], notes: Notes) -> list[Mailbox]:
    boxes: list[Mailbox] = []
    for field in fields:
        boxes += read_mailboxes(unfold(field), notes)
        if len(boxes) >= _MOST_MAILBOXES:
            break
    return boxes


def _correspondents(headers: Headers, name: str, notes: Notes) -> tuple[Correspondent, ...]:
    boxes: list[Mailbox] = []
    for field in headers.all(name):
        boxes += read_mailboxes(unfold(field), notes, most=_MOST_ADDRESSES + 1, cut=_CUT)
        if len(boxes) > _MOST_ADDRESSES:
            notes.add(*_CUT)
            break
    named = (box for box in boxes[:_MOST_ADDRESSES] if box.address or box.name)
    return tuple(Correspondent(address=box.address, name=box.name or None) for box in named)


def _answers_go_elsewhere(headers: Headers, authors: list[str]) -> bool:
    answers = _correspondents(headers, "reply-to", Notes())
    return any(one.address and one.address not in authors for one in answers)


def _disowned(authentication: Authentication | None) -> bool:
    """The domain in From says that mail such as this is not its own."""
    dmarc = authentication.dmarc if authentication else None
    return dmarc is not None and dmarc.result == "fail" and dmarc.policy in ("quarantine", "reject")


def _proven(authentication: Authentication | None) -> bool:
    if authentication is None:
        return False
    dmarc = authentication.dmarc
    if dmarc is not None and dmarc.result in ("pass", "fail"):
        return dmarc.result == "pass"
    spf = authentication.spf
    passed = [one for one in authentication.dkim if one.result == "pass" and one.aligned]
    return bool(passed) or (spf is not None and spf.result == "pass" and spf.aligned)


def _found(authentication: Authentication | None) -> Iterator[str]:
    """What was checked, in words that stay: a reader may look for them."""
    if authentication is None:
        return
    if (dmarc := authentication.dmarc) is not None:
        yield f"dmarc={dmarc.result}" + (f" p={dmarc.policy}" if dmarc.policy else "")
    for dkim in sorted(authentication.dkim, key=lambda one: not one.aligned)[:_MOST_SIGNATURES]:
        yield f"dkim={dkim.result}{_of('d', dkim.domain)}{_of('s', dkim.selector)}"
    if (spf := authentication.spf) is not None:
        yield f"spf={spf.result}{_of('d', spf.domain)}"
    if authentication.source != _OURSELVES:
        yield f"checked_by={_STRANGE.sub('?', authentication.source)[:253]}"


def _of(name: str, value: str | None) -> str:
    return f" {name}={_STRANGE.sub('?', value)[:253]}" if value else ""
