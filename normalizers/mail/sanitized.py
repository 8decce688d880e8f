"""Pages of strangers made safe to show: nothing runs, nothing is fetched, nothing is sent."""

import re
from html import escape

import nh3
from lxml import etree  # type: ignore[import-untyped]

from normalizers.html.layout import Element
from normalizers.notes import Notes
from normalizers.text import clean_text

_LONGEST = 512 * 1024
_MOST_IMAGES = 100
_LONGEST_ADDRESS = 2048
_MOST_ENTITIES = 100_000

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_REMOTE = ("http://", "https://")
_PLACEHOLDER = "data-remote-image"
_TAGS = frozenset(
    "a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn "
    "div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol p pre q rp "
    "rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul "
    "var wbr".split()
)
_UNREAD = frozenset(
    "applet embed iframe math noframes noscript object script style svg template textarea title".split()
)
_ATTRIBUTES = {
    "*": {"dir", "lang", "title"},
    "a": {"href"},
    "col": {"span"},
    "colgroup": {"span"},
    "font": {"color"},
    "img": {"alt", "height", "src", "width", _PLACEHOLDER},
    "li": {"value"},
    "ol": {"reversed", "start", "type"},
    "table": {"border"},
    "td": {"align", "colspan", "rowspan", "valign"},
    "th": {"align", "colspan", "rowspan", "valign"},
}
_SCHEMES = {"cid", "http", "https", "mailto", "tel"}
_REL = "noopener noreferrer nofollow"
_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags=set(_UNREAD),
    attributes=_ATTRIBUTES,
    url_schemes=_SCHEMES,
    url_relative="deny",
    link_rel=_REL,
)

# No page in its right mind has an image left here; the cleaner may see one where the parser saw none.
_FETCHED = re.compile(r"\bsrc=\"(?!cid:)", re.IGNORECASE)


class Pages:
    """The pages of one mail, as they are added, and the plain words between them."""

    def __init__(self) -> None:
        self._shown: list[tuple[str, str]] = []
        self._words_of_pages: set[str] = set()
        self._images: dict[str, int] = {}
        self._length = 0
        self._has_page = False
        self._too_odd = False

    def __len__(self) -> int:
        return len(self._shown)

    def take_back(self, length: int) -> None:
        """What was added since there were so many: it has a better rendition."""
        del self._shown[length:]

    def add_plain(self, words: str) -> None:
        """Shown only if there is a page, too, and it does not say the same."""
        if words.strip():
            self._shown.append((words, squeezed(words)))

    def add(self, tree: Element | None, words: str = "") -> None:
        """Changes the tree, None of which is a page that could not be parsed; `words` is what it says.

        A remote image keeps its place: `data-remote-image` is its number among `remote_images`, from 0.
        """
        self._has_page = True
        clean = None if tree is None or self._too_odd else self._sanitized(tree)
        if clean is None:
            self._too_odd = True
            return
        self._length += len(clean.encode())
        self._too_odd = self._length > _LONGEST
        self._shown.append((clean, ""))
        self._words_of_pages.add(squeezed(words))

    def give_up(self) -> None:
        """One of the pages was not read to its end: half of it is not shown."""
        self._has_page = self._too_odd = True

    def html(self, notes: Notes) -> str | None:
        """All of it, one below the other; None where there is no page, and where one is too large or too odd."""
        if self._too_odd:
            notes.add("html_cut", "the page is too large or too odd to be shown: it is in the raw original only")
        if self._too_odd or not self._has_page:
            return None
        shown = [
            _shown(part) if plain else part
            for part, plain in self._shown
            if not plain or plain not in self._words_of_pages
        ]
        return "\n".join(part for part in shown if part) or None

    @property
    def remote_images(self) -> tuple[str, ...]:
        """At most 100 addresses that would tell their sender who reads the mail, and when."""
        return tuple(self._images)

    def _sanitized(self, tree: Element) -> str | None:
        for image in tree.iter("img", "image"):
            image.tag = "img"  # browsers, and the cleaner, read the one as the other
            self._set_aside(image)
        # Not for safety, the cleaner sees to that: it is what most of an ordinary page consists of, and goes faster so.
        etree.strip_elements(tree, "script", "style", with_tail=False)
        etree.strip_attributes(tree, "class", "id", "style")
        try:
            # Before nh3 looks: without its control a harmless link may be another.
            page = _CONTROL.sub("", etree.tostring(tree, method="html", encoding="unicode"))
            if page.count("&") > _MOST_ENTITIES:  # nh3 takes quadratic time over them
                return None
            clean = _CLEANER.clean(page).strip()
            return _without_remote(clean) if _FETCHED.search(clean) else clean
        except (etree.LxmlError, ValueError, RecursionError):
            return None

    def _set_aside(self, image: Element) -> None:
        image.attrib.pop(_PLACEHOLDER, None)
        source = (image.get("src") or "").strip()
        if source.lower().startswith("cid:"):
            return
        image.attrib.pop("src", None)
        if source.startswith("//"):
            source = "https:" + source
        if not source.lower().startswith(_REMOTE) or len(source) > _LONGEST_ADDRESS or not source.isprintable():
            return
        if source in self._images or len(self._images) < _MOST_IMAGES:
            image.set(_PLACEHOLDER, str(self._images.setdefault(source, len(self._images))))


def _without_remote(page: str) -> str:
    """Asks for every attribute, which takes ten times as long."""
    return nh3.clean(
        page,
        tags=set(_TAGS),
        clean_content_tags=set(_UNREAD),
        attributes=_ATTRIBUTES,
        attribute_filter=lambda _, name, value: (
            value if name != "src" or value.strip().lower().startswith("cid:") else None
        ),
        url_schemes=_SCHEMES,
        url_relative="deny",
        link_rel=_REL,
    ).strip()


def squeezed(words: str) -> str:
    """For telling whether two renditions say the same."""
    return "".join(words.split())


def _shown(words: str) -> str:
    return "<p>" + escape(clean_text(words).strip("\n")).replace("\n", "<br>") + "</p>"
