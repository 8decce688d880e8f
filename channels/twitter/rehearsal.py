"""A sample made to happen now: fresh ids, the present time, our account, and what `--set` says."""

import html
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

SETTABLE = ("id", "text", "user_id", "handle", "name")

_X_EPOCH_MS = 1_288_834_974_657
_LEGACY_TIME = "%a %b %d %H:%M:%S +0000 %Y"


def rehearse(
    sample: bytes, *, own: str | None, overrides: Mapping[str, str], now: Callable[[], float] = time.time
) -> bytes:
    """The body to sign. `own` takes the place of the sample's subscribed account. Raises ValueError in words."""
    unknown = sorted(set(overrides) - set(SETTABLE))
    if unknown:
        raise ValueError(f"--set knows {', '.join(SETTABLE)}, not {', '.join(unknown)}")
    for key in ("id", "user_id"):
        if not (number := overrides.get(key, "0")).isdecimal() or not number.isascii():
            raise ValueError(f"--set {key}: ids of X are digits")
    try:
        document = json.loads(sample)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the sample is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("the sample is not a JSON object")
    moment = now()
    ids = _replaced_ids(document, own, overrides, moment)
    events = list(_events(document))
    senders = {ids.get(sender, sender) for event in events if (sender := _sender(event))}
    document = _renamed(document, ids)
    if isinstance(data := document.get("data"), dict):
        data["event_uuid"] = str(secrets.randbits(63))
    for event in _events(document):
        _happen_now(event, moment)
        if "text" in overrides:
            _say(event, html.escape(overrides["text"], quote=False))  # as X does
    for person in _people(document, senders):
        for key, field in (("handle", "username"), ("handle", "screen_name"), ("name", "name")):
            if key in overrides and field in person:
                person[field] = overrides[key]
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def fresh_id(moment: float) -> str:
    """An id as X makes them: milliseconds since its own epoch, then 22 bits of luck."""
    return str((int(moment * 1000) - _X_EPOCH_MS) << 22 | secrets.randbits(22))


def _replaced_ids(
    document: dict[str, Any], own: str | None, overrides: Mapping[str, str], moment: float
) -> dict[str, str]:
    """What every occurrence of an id becomes: of each event, of the sender, of our account."""
    replaced: dict[str, str] = {}
    for event in _events(document):
        if old := _id(event):
            replaced.setdefault(old, overrides.get("id") or fresh_id(moment))
        sender = _sender(event)
        if sender and "user_id" in overrides:
            replaced[sender] = overrides["user_id"]
    ours = _subscriber(document)
    if ours and own:
        replaced[ours] = own
    return replaced


def _events(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The posts and direct messages in a payload of either generation."""
    data = document.get("data")
    payload = data.get("payload") if isinstance(data, dict) else None
    for holder in (document, payload):
        if isinstance(holder, dict):
            for name in ("tweet_create_events", "direct_message_events"):
                listed = holder.get(name)
                yield from (one for one in listed or () if isinstance(listed, list) and isinstance(one, dict))
            for deleted in holder.get("tweet_delete_events") or ():
                if isinstance(deleted, dict) and isinstance(deleted.get("status"), dict):
                    yield deleted["status"]
    if isinstance(payload, dict) and "id" in payload:
        yield payload


def _id(event: dict[str, Any]) -> str | None:
    value = event.get("id_str") or event.get("id")
    return str(value) if value else None


def _subscriber(document: dict[str, Any]) -> str | None:
    data = document.get("data")
    found = data.get("filter") if isinstance(data, dict) else None
    value = found.get("user_id") if isinstance(found, dict) else document.get("for_user_id")
    return value if isinstance(value, str) else None


def _sender(event: dict[str, Any]) -> str | None:
    created, user = event.get("message_create"), event.get("user")
    value = event.get("author_id") or event.get("sender_id") or event.get("user_id")
    if isinstance(created, dict):
        value = created.get("sender_id")
    elif isinstance(user, dict):
        value = user.get("id_str") or user.get("id")
    return str(value) if value else None


def _renamed(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {ids.get(key, key): _renamed(below, ids) for key, below in value.items()}
    if isinstance(value, list):
        return [_renamed(below, ids) for below in value]
    if isinstance(value, str):
        return ids.get(value, value)
    if type(value) is int and str(value) in ids:
        return int(ids[str(value)])
    return value


def _happen_now(event: dict[str, Any], moment: float) -> None:
    at = datetime.fromtimestamp(moment, UTC)
    for name in ("created_timestamp", "timestamp_ms", "created_at_msec"):
        if name in event:
            event[name] = str(int(moment * 1000))
    if "created_at" in event:
        iso = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event["created_at"] = at.strftime(_LEGACY_TIME) if "user" in event else iso


def _say(event: dict[str, Any], text: str) -> None:
    created = event.get("message_create")
    if isinstance(created, dict):
        created["message_data"] = {**(created.get("message_data") or {}), "text": text}
        return
    event["text"] = text
    for longer, field in (("note_tweet", "text"), ("note_post", "text"), ("extended_tweet", "full_text")):
        if isinstance(event.get(longer), dict):
            event[longer][field] = text


def _people(value: Any, ids: set[str]) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if str(value.get("id_str") or value.get("id")) in ids and ("username" in value or "screen_name" in value):
            yield value
        for below in value.values():
            yield from _people(below, ids)
    elif isinstance(value, list):
        for below in value:
            yield from _people(below, ids)
