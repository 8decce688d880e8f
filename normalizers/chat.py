"""Events of Slack to messages."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from normalizers.message import Address, Kind, Message, Proof, Requester, Thread
from normalizers.mrkdwn import blocks_text, readable, shared_text
from normalizers.notes import Notes
from normalizers.slack.files import files_of
from normalizers.slack.shapes import (
    ID,
    TIMESTAMP,
    Object,
    child,
    decode,
    maybe_child,
    moment,
    optional,
    required,
    string,
    wrong,
)
from normalizers.text import clean_line, clean_text

_HEAVY = 256 * 1024
_LONGEST_NAME = 200
_POSTS = (None, "file_share", "thread_broadcast", "me_message")
"""Subtypes of what a person wrote; the others are bots, joins, topics and the like."""
_NOTICES = {
    "app_uninstalled": "The Slack app was removed from this workspace: what is written there no longer arrives.",
    "tokens_revoked": "Slack has revoked tokens of the app in this workspace: files may no longer be readable.",
}


class SlackPayload(msgspec.Struct, frozen=True, kw_only=True):
    """One POST of the Events API, undecoded."""

    body: bytes


def normalize(payload: SlackPayload) -> Sequence[Message]:
    """One message, or none where there is nothing to ticket. Raises `Malformed` where an event cannot be read."""
    body = decode(payload.body)
    if required(body, "type", "") != "event_callback":
        return ()
    event = child(body, "event", "")
    kind = required(event, "type", "/event")
    if kind in _NOTICES:
        return (_notice(kind, body, payload.body),)
    if kind not in ("message", "app_mention"):
        return ()
    subtype = event.get("subtype")
    if subtype is not None and not isinstance(subtype, str):
        raise wrong("/event/subtype", "invalid", "The subtype must be a string.")
    read = _posted if subtype in _POSTS else _CHANGES.get(subtype or "")
    message = read(_Conversation(body, event), event) if read else None
    return () if message is None else (message,)


def heavy(payload: SlackPayload) -> bool:
    """Whether reading it takes more than a few milliseconds."""
    return len(payload.body) > _HEAVY


class _Conversation:
    """Where an event belongs, and which accounts are machines."""

    def __init__(self, body: Object, event: Object) -> None:
        self._team = required(body, "team_id", "", ID)
        self._channel = required(event, "channel", "/event", ID)
        self._app = body.get("api_app_id")
        granted = body.get("authorizations")
        self._machines = ["USLACKBOT"] + [
            user
            for one in (granted if isinstance(granted, list) else ())
            if isinstance(one, dict) and one.get("is_bot") is True and (user := string(one, "user_id"))
        ]
        self._workspaces = {
            optional(body, "context_enterprise_id", ID): optional(body, "context_team_id", ID),
            optional(body, "enterprise_id", ID): self._team,
        }

    def by_machine(self, post: Object) -> bool:
        """Whether this app, another one or Slack itself wrote it."""
        if post.get("bot_id") or post.get("subtype") == "bot_message" or post.get("user") in self._machines:
            return True
        return isinstance(self._app, str) and post.get("app_id") == self._app

    def post_id(self, ts: str) -> str:
        """The name of a post; not of the event: `message` and `app_mention` tell of one post as two events."""
        return f"{self._team}/{self._channel}/{ts}"

    def tell(self, kind: Kind, ts: str, thread_ts: str | None, author: Requester, **more: Any) -> Message:
        """A message about the post of that time stamp."""
        own = self.post_id(ts)
        root = self.post_id(thread_ts or ts)
        return Message(
            kind=kind,
            medium="slack",
            external_id=own,
            requester=author,
            proof=Proof.PLATFORM if author.addresses else Proof.ANONYMOUS,
            recipients=(Address("slack_channel", f"{self._team}/{self._channel}"),),
            thread=Thread(key=root, external_id=own, parent=root if root != own else None, is_reply=root != own),
            **more,
        )

    def author(self, *posts: Object) -> Requester:
        """By the first of the posts that names a user: in edits and deletions not every one does."""
        for post in posts:
            if user := optional(post, "user", ID):
                return Requester(addresses=(Address("slack", f"{self._home(post)}/{user}"),), name=_name(post))
        return Requester()

    def _home(self, post: Object) -> str:
        """The author's workspace; with Slack Connect it is another than the channel's."""
        given = optional(post, "user_team", ID) or optional(post, "team", ID) or self._team
        # In an Enterprise Grid it may be the organisation (slack_bolt/request/internals.py, extract_actor_team_id).
        return self._workspaces.get(given) or given


def _posted(here: _Conversation, event: Object) -> Message | None:
    if here.by_machine(event):
        return None
    ts = required(event, "ts", "/event", TIMESTAMP)
    required(event, "user", "/event", ID)
    thread_ts = _thread_ts(event, "/event")
    notes = Notes()
    text, files = _words(event, "/event"), files_of(event, "/event", notes)
    if not text and not files:
        notes.add("no_text", "the post has neither words nor files")
    return here.tell(
        Kind.MESSAGE,
        ts,
        thread_ts,
        here.author(event),
        text=text,
        attachments=files,
        sent_at=moment(ts),
        warnings=notes.warnings(),
    )


def _changed(here: _Conversation, event: Object) -> Message | None:
    post, before = child(event, "message", "/event"), maybe_child(event, "previous_message", "/event")
    at, at_before = "/event/message", "/event/previous_message"
    ts = optional(post, "ts", TIMESTAMP) or optional(before, "ts", TIMESTAMP)
    if post.get("subtype") == "tombstone":  # what is left of a deleted post that others have replied to
        return _deleted(here, {**event, "deleted_ts": ts})
    if here.by_machine(post) or here.by_machine(before) or post.get("subtype") not in _POSTS:
        return None
    text = _words(post, at)
    edited = maybe_child(post, "edited", at)
    if text == _words(before, at_before) if before else not edited:  # a link unfolded, a reply counted
        return None
    ts = ts or required(post, "ts", at, TIMESTAMP)
    edited_ts = optional(edited, "ts", TIMESTAMP) or required(event, "ts", "/event", TIMESTAMP)
    # Edits are stamped to the second: the digest tells two within one second apart.
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return here.tell(
        Kind.EDIT,
        ts,
        _thread_ts(post, at) or _thread_ts(before, at_before),
        here.author(post, before, edited),
        identity=f"{here.post_id(ts)} {edited_ts} {digest}",
        text=text,
        sent_at=moment(optional(event, "ts", TIMESTAMP) or edited_ts),
    )


def _deleted(here: _Conversation, event: Object) -> Message | None:
    before = maybe_child(event, "previous_message", "/event")
    if here.by_machine(before):
        return None
    ts = required(event, "deleted_ts", "/event", TIMESTAMP)
    thread_ts = _thread_ts(before, "/event/previous_message")
    told = optional(event, "ts", TIMESTAMP)
    return here.tell(Kind.DELETE, ts, thread_ts, here.author(before), sent_at=moment(told) if told else None)


_CHANGES = {"message_changed": _changed, "message_deleted": _deleted}


def _notice(kind: str, body: Object, content: bytes) -> Message:
    team = required(body, "team_id", "", ID)
    event_id = optional(body, "event_id", ID) or hashlib.sha256(content).hexdigest()
    external_id = f"{team}/{kind}/{event_id}"
    return Message(
        kind=Kind.NOTICE,
        medium="slack",
        external_id=external_id,
        requester=Requester(),
        recipients=(Address("slack_team", team),),
        thread=Thread(key=f"{team}/{kind}", external_id=external_id),
        text=_NOTICES[kind],
    )


def _words(post: Object, at: str) -> str:
    text = post.get("text")
    if text is not None and not isinstance(text, str):
        raise wrong(f"{at}/text", "invalid", "The text must be a string.")
    words = clean_text(readable(text or ""))
    return words or clean_text(blocks_text(post.get("blocks")) or shared_text(post.get("attachments")))


def _thread_ts(post: Object, at: str) -> str | None:
    return None if post.get("thread_ts") is None else required(post, "thread_ts", at, TIMESTAMP)


def _name(post: Object) -> str | None:
    profile = post.get("user_profile")
    if not isinstance(profile, dict):
        return None
    names = (clean_line(string(profile, field), _LONGEST_NAME) for field in ("display_name", "real_name", "name"))
    return next((name for name in names if name), None)
