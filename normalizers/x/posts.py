"""Posts, as the X Activity API (v2) and the Account Activity API (v1.1) write them, to messages."""

from collections.abc import Set

import msgspec

from normalizers.message import Attachment, Kind, Message, Proof, Related, Requester, Thread
from normalizers.notes import Notes
from normalizers.x.media import embedded, named
from normalizers.x.people import Ours, find_user, requester
from normalizers.x.place import Place
from normalizers.x.times import moment
from normalizers.x.words import language, readable

EVIDENCE = ("x_account_id",)
"""What the proof rests on: X names the account by its id."""

_REPOSTED = {"retweeted", "reposted"}
_DELETED_AT = ("timestamp_ms", "deleted_at", "event_at")


def activity_post(place: Place, includes: Place, ours: Ours, *, addressed: bool) -> Message | None:
    """A v2 post by somebody else; unless the event is `addressed` to us, only where it mentions or answers us.

    Both spellings are read: X's guides say tweet where its OpenAPI document says post.
    """
    place = place.unwrapped()
    referenced = [
        (one.at("type").text(), number)
        for one in place.at("referenced_tweets", "referenced_posts").items()
        if (number := one.at("id").number())
    ]
    author = place.at("author_id")
    author_id = author.number()
    if author.value is None and not addressed:
        author_id = ours.subscriber  # such events are filtered by who wrote them
    if author_id in ours.ids or any(how in _REPOSTED for how, _ in referenced):
        return None
    if author_id is None:
        raise author.fault("the id of the author")
    named_ids = _addressed(place, includes, {number for _, number in referenced})
    if not addressed and not ours.ids & named_ids:
        return None
    notes = Notes()
    note = place.at("note_tweet", "note_post")
    answered = place.at("in_reply_to_tweet_id", "in_reply_to_post_id").number()
    users = includes.at("users")
    return _message(
        _Post(
            id=_required_id(place.at("id")),
            author=requester(author_id, find_user(users, author_id)),
            text=readable(
                _required_text(note.at("text"), place.at("text")), (note.at("entities"), place.at("entities"))
            ),
            conversation=place.at("conversation_id").number(),
            answered=answered or next((number for how, number in referenced if how == "replied_to"), None),
            quoted=tuple(number for how, number in referenced if how == "quoted"),
            versions=_numbers(place.at("edit_history_tweet_ids", "edit_history_post_ids")),
            attachments=named(place.at("attachments").at("media_keys"), includes.at("media"), notes),
        ),
        place,
        ours,
        named_ids,
        notes,
    )


def account_post(place: Place, ours: Ours, *, blocked: bool) -> Message | None:
    """A v1.1 post by somebody else; whatever X sends for an account of ours is addressed to it."""
    user = place.at("user")
    author = user.at("id_str", "id")  # the number is rounded to what JavaScript can hold
    author_id = author.number()
    if author_id in ours.ids or place.at("retweeted_status").is_object():
        return None
    if author_id is None:
        raise author.fault("the id of the author")
    notes = Notes()
    if blocked:
        notes.add("author_blocked", "our account has blocked the author")
    extended = place.at("extended_tweet")
    parts = (extended, place)
    entities = [part.at(name) for part in parts for name in ("extended_entities", "entities")]
    whole = extended.at("full_text"), place.at("full_text")
    if place.at("truncated").is_true() and not any(one.text() for one in whole):
        notes.add("text_cut", "X sent only the beginning of this post")
    media = next((found for one in entities if (found := one.at("media")).value), Place(None))
    quoted = place.at("quoted_status_id_str", "quoted_status_id").number()
    history = place.at("edit_history")
    return _message(
        _Post(
            id=_required_id(place.at("id_str", "id")),
            author=requester(author_id, user),
            text=readable(_required_text(*whole, place.at("text")), entities),
            conversation=place.at("conversation_id_str", "conversation_id").number(),
            answered=place.at("in_reply_to_status_id_str", "in_reply_to_status_id").number(),
            quoted=(quoted,) if quoted else (),
            versions=_numbers(history.at("edit_tweet_ids")) or _first(history.at("initial_tweet_id")),
            attachments=embedded(media.items(), notes),
        ),
        place,
        ours,
        frozenset(),
        notes,
    )


def deleted_post(place: Place, ours: Ours, author_id: str | None, users: Place) -> Message | None:
    """The end of a post of somebody else; `place` is what X says of it, however little."""
    outer = place.unwrapped()
    inner = outer.at("status", "post", "tweet", "delete")
    post = inner if inner.is_object() else outer
    author = post.at("author_id", "user_id")
    author_id = author.number() if author.value is not None else author_id
    if author_id in ours.ids:
        return None
    if author_id is None:
        raise author.fault("the id of the author")
    post_id = _required_id(post.at("id_str", "id", "post_id", "tweet_id"))
    when = post.at(*_DELETED_AT)
    notes = Notes()
    sent_at = moment(when if when.value is not None else outer.at(*_DELETED_AT), notes)
    return Message(
        kind=Kind.DELETE,
        medium="post",
        external_id=post_id,
        requester=requester(author_id, find_user(users, author_id)),
        proof=Proof.PLATFORM,
        evidence=EVIDENCE,
        recipients=ours.recipients(),
        thread=Thread(key=post.at("conversation_id").number() or post_id, external_id=post_id, parent=post_id),
        sent_at=sent_at,
        related=(Related(system="twitter", type="post", id=post_id),),
        warnings=notes.warnings(),
    )


class _Post(msgspec.Struct, frozen=True, kw_only=True):
    """What the two generations have to say in their own ways."""

    id: str
    author: Requester
    text: str
    conversation: str | None
    answered: str | None
    quoted: tuple[str, ...]
    versions: tuple[str, ...]
    """Every id this post has had, the first one first: each edit is a new post."""
    attachments: tuple[Attachment, ...]


def _message(post: _Post, place: Place, ours: Ours, named_ids: frozenset[str], notes: Notes) -> Message:
    original = post.versions[0] if post.versions else post.id
    edited = original != post.id
    sent_at = moment(place.at("timestamp_ms", "created_at"), notes)
    if not post.text.strip() and not post.attachments:
        notes.add("no_text", "there are neither words nor media in this post")
    earlier = dict.fromkeys((*post.versions, *([post.answered] if post.answered else []), *post.quoted))
    return Message(
        kind=Kind.EDIT if edited else Kind.MESSAGE,
        medium="post",
        external_id=post.id,
        requester=post.author,
        proof=Proof.PLATFORM,
        evidence=EVIDENCE,
        recipients=ours.recipients(named_ids),
        text=post.text,
        language=language(place.at("lang")),
        thread=Thread(
            key=post.conversation or post.answered or original,
            external_id=post.id,
            parent=original if edited else post.answered,
            references=tuple(one for one in earlier if one != post.id),
            is_reply=post.answered is not None,
        ),
        attachments=post.attachments,
        sent_at=sent_at,
        warnings=notes.warnings(),
    )


def _addressed(place: Place, includes: Place, referenced: Set[str]) -> frozenset[str]:
    """Whom a v2 post mentions, answers or quotes."""
    found = {place.at("in_reply_to_user_id").number()}
    for part in (place, place.at("note_tweet", "note_post")):
        found |= {mention.at("id").number() for mention in part.at("entities").at("mentions").items()}
    for post in includes.at("tweets", "posts").items():
        if post.at("id").number() in referenced:
            found.add(post.at("author_id").number())
    return frozenset(one for one in found if one)


def _required_id(place: Place) -> str:
    if (number := place.number()) is None:
        raise place.fault("the id of the post")
    return number


def _required_text(*spellings: Place) -> str:
    for place in spellings:
        if (text := place.text()) is not None:
            return text
    raise spellings[-1].fault("the text of the post")


def _numbers(place: Place) -> tuple[str, ...]:
    return tuple(number for one in place.items() if (number := one.number()))


def _first(place: Place) -> tuple[str, ...]:
    number = place.number()
    return (number,) if number else ()
