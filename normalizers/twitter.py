"""Events of X, in the forms of the Activity API and of its predecessor, to messages."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from normalizers.message import Malformed, Message, MessageWarning, Problem
from normalizers.x.direct import direct_message, unreadable
from normalizers.x.people import Ours
from normalizers.x.place import Place
from normalizers.x.posts import account_post, activity_post, deleted_post

_MOST_EVENTS = 1000
_MOST_PROBLEMS = 20
_ADDRESSED = {"post.mention.create", "post.reply.create", "post.quote.create"}
_HEAVY = 256 * 1024


class TwitterPayload(msgspec.Struct, frozen=True, kw_only=True):
    """One POST of X's webhook, undecoded."""

    body: bytes
    own_user_ids: tuple[str, ...] = ()
    """Our accounts, as configured when it came: what they write is never a message."""


_Reader = Callable[[], Message | None]


def normalize(payload: TwitterPayload) -> Sequence[Message]:
    """Every message in the payload once, none where there is nothing to ticket.

    Raises `Malformed` where an event is damaged and no other is good; beside a good one it is a warning.
    """
    document = Place(_decode(payload.body))
    own = frozenset(payload.own_user_ids)
    found: dict[tuple[str, str], Message] = {}
    problems: list[Problem] = []
    events = (*_activity(document, own), *_account(document, own))
    if len(events) > _MOST_EVENTS:
        raise Malformed(Problem("", "too_many_events", f"At most {_MOST_EVENTS} events can come at once."))
    for read in events:
        try:
            message = read()
        except Malformed as fault:
            problems += fault.problems
            continue
        if message is not None:
            found.setdefault((message.kind, message.external_id), message)
    if problems and not found:
        raise Malformed(*problems[:_MOST_PROBLEMS])
    return _with_warnings([*found.values()], problems)


def heavy(payload: TwitterPayload) -> bool:
    """Whether reading it takes more than a few milliseconds."""
    return len(payload.body) > _HEAVY


def _decode(body: bytes) -> dict[str, Any]:
    try:
        # Not msgspec: it refuses escaped lone surrogates, which people can type.
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed(Problem("", "invalid_json", "The body is not JSON.")) from None
    if not isinstance(document, dict):
        raise Malformed(Problem("", "invalid_json", "The body must be a JSON object."))
    return document


def _activity(document: Place, own: frozenset[str]) -> Iterator[_Reader]:
    """What there is to read in `{"data": {"event_type", "filter", "payload", "includes"}}`."""
    event = document.at("data")
    if event.at("payload", "event_uuid").value is None:
        return
    name, payload, includes = event.at("event_type"), event.at("payload"), event.at("includes")
    filtered = event.at("filter").at("user_id")
    if name.text() is None:
        yield partial(_raise, name.fault("the type of the event"))
    elif name.value in _ADDRESSED:
        yield lambda: activity_post(payload, includes, _with_subscriber(filtered, own), addressed=True)
    elif name.value == "post.create":
        yield lambda: activity_post(payload, includes, _watched(filtered, own), addressed=False)
    elif name.value == "post.delete":
        yield lambda: deleted_post(payload, _watched(filtered, own), filtered.number(), _users(payload, includes))
    elif name.value == "dm.received":
        yield from _received(payload, includes, lambda: _with_subscriber(filtered, own))
    elif name.value == "chat.received":
        event_id, users = event.at("event_uuid").token(), _users(payload, includes)
        yield lambda: unreadable(payload, users, _with_subscriber(filtered, own), event_id)


def _received(payload: Place, includes: Place, ours: Callable[[], Ours]) -> Iterator[_Reader]:
    """Direct messages in the old form, listed, or one in the new form."""
    users = _users(payload, includes)

    def reader(event: Place) -> _Reader:
        return lambda: direct_message(event, users, includes, ours())

    listed = payload.at("direct_message_events")
    yield from _each(listed, reader) if listed.value is not None else (reader(payload.unwrapped()),)


def _account(document: Place, own: frozenset[str]) -> Iterator[_Reader]:
    """What there is to read in `{"for_user_id", "tweet_create_events", …}`."""
    subscriber, users = document.at("for_user_id"), document.at("users")
    blocked = document.at("user_has_blocked").is_true()

    def posted(event: Place) -> _Reader:
        return lambda: account_post(event, _with_subscriber(subscriber, own), blocked=blocked)

    def said(event: Place) -> _Reader:
        return lambda: direct_message(event, users, Place(None), _with_subscriber(subscriber, own))

    def deleted(event: Place) -> _Reader:
        return lambda: deleted_post(event, _with_subscriber(subscriber, own), None, users)

    yield from _each(document.at("tweet_create_events"), posted)
    yield from _each(document.at("direct_message_events"), said)
    yield from _each(document.at("tweet_delete_events"), deleted)


def _each(events: Place, reader: Callable[[Place], _Reader]) -> Iterator[_Reader]:
    if events.value is not None and not isinstance(events.value, list):
        yield partial(_raise, events.fault("a list of events"))
    yield from map(reader, events.items())


def _users(payload: Place, includes: Place) -> Place:
    users = payload.at("users")
    return users if users.value is not None else includes.at("users")


def _with_subscriber(place: Place, own: frozenset[str]) -> Ours:
    """Whoever these events can be subscribed to for has signed in to our app: the account is ours."""
    subscriber = place.number()
    ids = own | {subscriber} if subscriber else own
    if not ids:
        raise place.fault("the id of our account")
    return Ours(subscriber, ids)


def _watched(place: Place, own: frozenset[str]) -> Ours:
    """Public events can be had of anybody: only without configuration does the filter say who we are."""
    subscriber = place.number()
    return Ours(subscriber, own) if own else _with_subscriber(place, own)


def _raise(fault: Malformed) -> None:
    raise fault


def _with_warnings(messages: list[Message], problems: Sequence[Problem]) -> Sequence[Message]:
    """The first message tells what was left out beside it."""
    if not problems:
        return messages
    skipped = [MessageWarning("event_skipped", f"{one.pointer}: {one.message}") for one in problems[:_MOST_PROBLEMS]]
    first = msgspec.structs.replace(messages[0], warnings=(*messages[0].warnings, *skipped))
    return [first, *messages[1:]]
