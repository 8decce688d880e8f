"""What a post or a direct message says, as a person reads it."""

import re
from collections.abc import Iterable

from normalizers.text import clean_text
from normalizers.x.place import Place

_ESCAPED = re.compile(r"&(amp|lt|gt);")
_PLAIN = {"amp": "&", "lt": "<", "gt": ">"}
_SHORT_LINK = re.compile(r"https?://t\.co/[A-Za-z0-9]+")
_LONGEST_LINK = 4096
_MOST_LINKS = 500
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_NO_LANGUAGE = {"und", "zxx", "art"}


def readable(text: str, entities: Iterable[Place]) -> str:
    """Clean text with `&`, `<` and `>` decoded once and t.co links written out.

    A link is known by its own spelling, not by the entity's offsets: those count code points of a text that is
    sometimes another one, and in X's own samples end behind the text. t.co names never mean two addresses.
    """
    links = _links(entities)
    pieces: list[str] = []
    end = 0
    if links:
        for count, match in enumerate(_SHORT_LINK.finditer(text)):
            if count == _MOST_LINKS:
                break
            pieces += (_decode(text[end : match.start()]), links.get(match[0], match[0]))
            end = match.end()
    return clean_text("".join([*pieces, _decode(text[end:])]))


def language(place: Place) -> str | None:
    """The post's language as X guessed it; its codes for "none" (`und`, `zxx`, `qme` …) are none."""
    code = place.text()
    if code is None or len(code) > 20 or not _LANGUAGE.fullmatch(code) or code in _NO_LANGUAGE:
        return None
    return None if len(code) == 3 and code.startswith("q") else code


def _links(entities: Iterable[Place]) -> dict[str, str]:
    found: dict[str, str] = {}
    for place in entities:
        for entity in (*place.at("urls").items(), *place.at("media").items()):
            short, whole = entity.at("url").text(), entity.at("expanded_url").text()
            if short and whole and len(whole) <= _LONGEST_LINK and whole.startswith(("https://", "http://")):
                found.setdefault(short, whole)
    return found


def _decode(text: str) -> str:
    return _ESCAPED.sub(lambda match: _PLAIN[match[1]], text)
