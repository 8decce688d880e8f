"""A sample made to happen now: fresh ids, the present time, and what `--set` says."""

import html
import json
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

SETTABLE = ("text", "user", "team", "channel", "ts", "thread_ts", "event_id")
_EDITED_AFTER = 60.0
"""Seconds between a post and its edit or deletion."""


class Rehearsed(NamedTuple):
    """What to sign, and the time stamp of the post it is about, for replies, edits and repetitions."""

    body: bytes
    ts: str | None


def rehearse(sample: bytes, overrides: Mapping[str, str], moment: float) -> Rehearsed:
    """The sample as if it happened at `moment`, in Unix seconds. Raises ValueError in words."""
    unknown = sorted(set(overrides) - set(SETTABLE))
    if unknown:
        raise ValueError(f"--set knows {', '.join(SETTABLE)}, not {', '.join(unknown)}")
    try:
        document = json.loads(sample)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the sample is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("the sample is not a JSON object")
    event, ts = document.get("event"), None
    if isinstance(event, dict):
        document["event_id"] = overrides.get("event_id") or f"Ev{secrets.token_hex(5).upper()}"
        document["event_time"] = int(moment)
        ts = _happen_now(event, overrides, moment)
        if "channel" in overrides and "channel" in event:
            event["channel"] = overrides["channel"]
    return Rehearsed(json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"), ts)


def _happen_now(event: dict[str, Any], overrides: Mapping[str, str], moment: float) -> str | None:
    event["event_ts"] = f"{moment:.6f}"
    inner = {field: event[field] for field in ("message", "previous_message") if isinstance(event.get(field), dict)}
    if "ts" not in event:
        return None
    if not inner and "deleted_ts" not in event:
        event["ts"] = overrides.get("ts") or event["event_ts"]
        _say(event, overrides)
        _ascribe(event, overrides)
        return str(event["ts"])
    event["ts"] = event["event_ts"]
    ts = overrides.get("ts") or f"{moment - _EDITED_AFTER:.6f}"
    if "deleted_ts" in event:
        event["deleted_ts"] = ts
    for field, post in inner.items():
        post["ts"] = ts
        _ascribe(post, overrides)
        if field == "message":
            _say(post, overrides)
        if isinstance(edited := post.get("edited"), dict):
            edited["ts"] = f"{int(moment)}.000000"
    return ts


def _say(post: dict[str, Any], overrides: Mapping[str, str]) -> None:
    if "text" in overrides:
        post["text"] = html.escape(overrides["text"], quote=False)  # as Slack does
        post.pop("blocks", None)


def _ascribe(post: dict[str, Any], overrides: Mapping[str, str]) -> None:
    if "thread_ts" in overrides:
        post["thread_ts"] = overrides["thread_ts"]
    if "user" in overrides:
        post["user"] = overrides["user"]
    if "team" in overrides:
        post["team"] = overrides["team"]
        if "user_team" in post:
            post["user_team"] = overrides["team"]
