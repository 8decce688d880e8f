"""Pictures and films that came along, as references to fetch later."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from normalizers.message import Attachment
from normalizers.notes import Notes
from normalizers.x.place import Place

_MEDIA_TYPES = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp4": "video/mp4",
    "png": "image/png",
    "webp": "image/webp",
}
_KINDS = {"photo", "video", "animated_gif"}
_MOST = 20
_URL = re.compile(r"https://[!-~]+")
_LONGEST_URL = 4096


def named(keys: Place, media: Place, notes: Notes) -> tuple[Attachment, ...]:
    """The media a post names by key (v2), looked up among those X sent beside it."""
    there = {key: item for item in media.items() if (key := item.at("media_key").token())}
    wanted = [key for place in keys.items() if (key := place.token())]
    return _attachments(((key, there.get(key, Place(None))) for key in dict.fromkeys(wanted)), notes)


def embedded(items: Iterable[Place], notes: Notes) -> tuple[Attachment, ...]:
    """The media that stand in the post or direct message itself (v1.1)."""
    return _attachments(((item.at("id_str", "id").token() or "media", item) for item in items), notes)


def _attachments(found: Iterable[tuple[str, Place]], notes: Notes) -> tuple[Attachment, ...]:
    kept: list[Attachment] = []
    for key, item in found:
        if len(kept) == _MOST:
            notes.add("attachments_cut", f"of the media the first {_MOST} were kept")
            break
        kept.append(_attachment(key, item))
    return tuple(kept)


def _attachment(key: str, item: Place) -> Attachment:
    kind = item.at("type").text()
    stem = f"{kind if kind in _KINDS else 'media'}-{key.replace(':', '_')}"
    # In v1.1 the `url` of a medium is its t.co link; in v2, where media have keys, it is the picture.
    picture = item.at("url") if item.at("media_key").value else item.at("media_url_https")
    for place in (_best_film(item), picture, item.at("preview_image_url")):
        url = place.text()
        suffix = _suffix(url) if url else None
        if suffix is not None:
            name = f"{stem}.{suffix}" if suffix else stem
            return Attachment(name=name, media_type=_MEDIA_TYPES.get(suffix, "application/octet-stream"), remote=url)
    return Attachment(name=stem, media_type="application/octet-stream", omitted_reason="no_reference")


def _best_film(item: Place) -> Place:
    variants = (item if item.at("variants").value else item.at("video_info")).at("variants")
    films = [one for one in variants.items() if one.at("content_type").value == "video/mp4"]
    return max(films, key=_bit_rate).at("url") if films else Place(None)


def _bit_rate(variant: Place) -> int:
    rate = variant.at("bit_rate", "bitrate").value
    return rate if type(rate) is int else 0


def _suffix(url: str) -> str | None:
    """The file suffix a reference tells of, empty where it tells none; None where nothing can be fetched by it."""
    if len(url) > _LONGEST_URL or not _URL.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if not parts.hostname:
        return None
    told = [parts.path.rpartition("/")[2].rpartition(".")[2].lower(), *parse_qs(parts.query).get("format", ())]
    return next((suffix for suffix in told if suffix in _MEDIA_TYPES), "")
