"""Slack's mrkdwn and Block Kit to text a person reads; names of people and channels stay ids."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_DEEPEST = 10
"""Levels of blocks: real ones nest five deep, a list in a rich text."""

_REFERENCE = re.compile(r"<([^<>]+)>")
_ENTITY = re.compile(r"&(amp|lt|gt);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}
_SCHEME = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_INLINE = frozenset(["rich_text_section", "rich_text_preformatted", "rich_text_quote"])


def readable(mrkdwn: str) -> str:
    """Mentions, channels and links resolved, then `&amp;` `&lt;` `&gt;` unescaped, once.

    In that order: in mrkdwn a literal `<` is always escaped, so that what a person typed never becomes a mention.
    """
    return _unescape(_REFERENCE.sub(_resolve, mrkdwn))


def blocks_text(blocks: object) -> str:
    """The words of Block Kit blocks, one line each; whatever is not a block is passed over."""
    return "\n".join(line for line in _lines(blocks, _DEEPEST) if line)


def shared_text(attachments: object) -> str:
    """The words of posts that were passed on, and of old-style attachments, one after the other."""
    if not isinstance(attachments, list):
        return ""
    shared = (_string(one.get("text")) or _string(one.get("fallback")) for one in attachments if isinstance(one, dict))
    return "\n".join(readable(words) for words in shared if words)


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda entity: _ENTITIES[entity[1]], text)


def _resolve(reference: re.Match[str]) -> str:
    target, _, label = reference[1].partition("|")
    match target[0] if target else "":
        case "@":
            return f"@{label.removeprefix('@') or target[1:]}"
        case "#":
            return f"#{label or target[1:]}"
        case "!":
            return _special(target[1:], label)
        case _:
            return _link(target, label)


def _special(command: str, label: str) -> str:
    name, _, argument = command.partition("^")
    if name == "subteam":
        return f"@{label.removeprefix('@') or argument}"
    if name == "date":  # <!date^unix time^format|text for clients that cannot show it>
        return label or argument.partition("^")[0]
    return label or f"@{name}"


def _link(url: str, label: str) -> str:
    shown = _SCHEME.sub("", url, count=1)
    if not label or label in (url, shown, shown.rstrip("/")):
        return label or shown if url.startswith(("mailto:", "tel:")) else url
    # Both: a label alone can pass itself off as another address.
    return f"{label} ({url})"


def _lines(blocks: object, depth: int) -> Iterator[str]:
    if not isinstance(blocks, list) or not depth:
        return
    for block in blocks:
        if isinstance(block, dict):
            yield from _block(block, depth)


def _block(block: Mapping[str, Any], depth: int) -> Iterator[str]:
    kind = block.get("type")
    if isinstance(kind, str) and kind in _INLINE:
        yield "".join(_inline(block.get("elements")))
        return
    if kind == "rich_text_list":
        ordered = block.get("style") == "ordered"
        for number, line in enumerate(_lines(block.get("elements"), depth - 1), 1):
            yield f"{number}. {line}" if ordered else f"• {line}"
        return
    if kind in ("mrkdwn", "plain_text"):  # the elements of a context block
        yield _composed(block)
        return
    for field in ("title", "text"):
        yield _composed(block.get(field))
    if kind == "image":
        yield _string(block.get("alt_text"))
    fields = block.get("fields")
    if isinstance(fields, list):
        yield from map(_composed, fields)
    yield from _lines(block.get("elements"), depth - 1)


def _composed(text: object) -> str:
    """A composition object, `mrkdwn` or `plain_text`, or the bare string of a markdown block."""
    if not isinstance(text, dict):
        return _string(text)
    words = _string(text.get("text"))
    return readable(words) if text.get("type") == "mrkdwn" else _unescape(words)


def _inline(elements: object) -> Iterator[str]:
    """Rich text is taken apart already: nothing in it is escaped."""
    if not isinstance(elements, list):
        return
    for element in elements:
        if isinstance(element, dict):
            kind = element.get("type")
            tell = _ELEMENTS.get(kind) if isinstance(kind, str) else None
            yield tell(element) if tell else _string(element.get("text"))


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _id_of(field: str, mark: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda element: mark + _string(element.get(field))


_ELEMENTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "user": _id_of("user_id", "@"),
    "usergroup": _id_of("usergroup_id", "@"),
    "channel": _id_of("channel_id", "#"),
    "broadcast": _id_of("range", "@"),
    "emoji": lambda element: f":{_string(element.get('name'))}:",
    "date": _id_of("fallback", ""),
    "link": lambda element: _link(_string(element.get("url")), _string(element.get("text"))),
}
