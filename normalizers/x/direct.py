"""Direct messages, readable and not, to messages."""

import re

from normalizers.message import Attachment, Kind, Message, Proof, Thread
from normalizers.notes import Notes
from normalizers.x.media import embedded, named
from normalizers.x.people import Ours, find_user, requester
from normalizers.x.place import Place
from normalizers.x.posts import EVIDENCE
from normalizers.x.times import moment
from normalizers.x.words import readable

UNREADABLE = "unreadable encrypted direct message"

_PAIR = re.compile(r"([0-9]+)[-:]([0-9]+)")


def direct_message(event: Place, users: Place, includes: Place, ours: Ours) -> Message | None:
    """Words somebody else sent us, in the form of v1.1 or of v2; None for what has no words of theirs."""
    if event.at("event_type").value is not None:
        return _v2(event, includes, ours)
    kind = event.at("type")
    if kind.text() is None:
        raise kind.fault("the type of the event")
    if kind.value != "message_create":
        return None
    created = event.at("message_create")
    sender = created.at("sender_id")
    if (sender_id := _sender(sender, ours)) is None:
        return None
    content = created.at("message_data")
    entities = content.at("entities")
    notes = Notes()
    media = content.at("attachment").at("media")
    recipient = created.at("target").at("recipient_id").number() or ours.subscriber
    group = event.at("dm_conversation_id").token()
    return _message(
        event,
        sender_id,
        users,
        Ours(recipient, ours.ids),
        key=conversation(group, sender_id, recipient),
        text=readable(_required_text(content.at("text")), (entities, Place({"media": [media.value]}))),
        attachments=embedded([media] if media.is_object() else [], notes),
        when=event.at("created_timestamp"),
        notes=notes,
    )


def unreadable(chat: Place, users: Place, ours: Ours, event_id: str | None) -> Message | None:
    """A notice of an XChat message: it comes encrypted for devices, and no server can read it."""
    sender = chat.at("sender_id")
    if (sender_id := _sender(sender, ours)) is None:
        return None
    found = chat.at("id")
    external_id = found.token() or event_id
    if external_id is None:
        raise found.fault("the id of the message")
    notes = Notes()
    sent_at = moment(chat.at("created_at_msec"), notes)
    return Message(
        kind=Kind.NOTICE,
        medium="dm",
        external_id=external_id,
        requester=requester(sender_id, find_user(users, sender_id)),
        proof=Proof.PLATFORM,
        evidence=EVIDENCE,
        recipients=ours.recipients(),
        text=UNREADABLE,
        thread=Thread(
            key=conversation(chat.at("conversation_id").token(), sender_id, ours.subscriber), external_id=external_id
        ),
        sent_at=sent_at,
        warnings=notes.warnings(),
    )


def conversation(named_as: str | None, sender_id: str, recipient_id: str | None) -> str:
    """One key for two people whoever writes: `smaller-larger`, as v2 spells it; a group has its own."""
    pair = _PAIR.fullmatch(named_as) if named_as else None
    if named_as and not pair:
        return named_as
    members = pair.groups() if pair else (sender_id, recipient_id or sender_id)
    return "-".join(sorted(members, key=int))


def _v2(event: Place, includes: Place, ours: Ours) -> Message | None:
    kind = event.at("event_type")
    if kind.text() is None:
        raise kind.fault("the type of the event")
    if kind.value != "MessageCreate":
        return None
    sender_id = _sender(event.at("sender_id"), ours)
    if sender_id is None:
        return None
    notes = Notes()
    return _message(
        event,
        sender_id,
        includes.at("users"),
        ours,
        key=conversation(event.at("dm_conversation_id").token(), sender_id, ours.subscriber),
        text=readable(_required_text(event.at("text")), (event.at("entities"),)),
        attachments=named(event.at("attachments").at("media_keys"), includes.at("media"), notes),
        when=event.at("created_at"),
        notes=notes,
    )


def _message(
    event: Place,
    sender_id: str,
    users: Place,
    ours: Ours,
    *,
    key: str,
    text: str,
    attachments: tuple[Attachment, ...],
    when: Place,
    notes: Notes,
) -> Message:
    found = event.at("id")
    if (external_id := found.token()) is None:
        raise found.fault("the id of the direct message")
    sent_at = moment(when, notes)
    if not text.strip() and not attachments:
        notes.add("no_text", "there are neither words nor media in this direct message")
    return Message(
        medium="dm",
        external_id=external_id,
        requester=requester(sender_id, find_user(users, sender_id)),
        proof=Proof.PLATFORM,
        evidence=EVIDENCE,
        recipients=ours.recipients(),
        text=text,
        thread=Thread(key=key, external_id=external_id),
        attachments=attachments,
        sent_at=sent_at,
        warnings=notes.warnings(),
    )


def _sender(place: Place, ours: Ours) -> str | None:
    """Who wrote; None where it was one of our accounts."""
    sender_id = place.number()
    if sender_id is None:
        raise place.fault("the id of the sender")
    return None if sender_id in ours.ids else sender_id


def _required_text(place: Place) -> str:
    text = place.text()
    if text is None:
        raise place.fault("the text of the direct message")
    return text
