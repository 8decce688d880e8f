"""HTML of strangers, parsed once; and the words of it, laid out like the page."""

import html
import re

from lxml import etree  # type: ignore[import-untyped]

from normalizers.html.layout import Element, Marker, lay_out

_SHORT = 16 * 1024
_MOST_ATTRIBUTES = 500

_INVISIBLE = re.compile(r"<(script|style|head|title)\b[^<]*(?:<(?!/\1\b)[^<]*)*+", re.IGNORECASE)
_LINE_BREAK = re.compile(r"<(?:br|hr|/?(?:p|div|tr|li|h[1-6]|table|ul|ol|blockquote))\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<!--|-->|<[a-z/!?][^<>]*>", re.IGNORECASE)
_GAP = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n\s*\n")
# A start tag and up to 500 attributes of it, as browsers cut them; the group is the last of 500.
_ATTRIBUTE = r"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"?+|'[^']*+'?+|[^\s>"'][^\s>]*+)?+)?+"""
_START_TAG = re.compile(rf"<[a-zA-Z][^\s/>]*+(?:{_ATTRIBUTE}){{0,{_MOST_ATTRIBUTES - 1}}}+(?P<last>{_ATTRIBUTE})?+")


def html_to_text(page: str) -> str:
    """The words of a page, one line per block; linear in its length, so the caller bounds that."""
    tree = parse_page(page)
    return strip_tags(page) if tree is None else lay_out(tree)


def page_to_text(page: str, tree: Element | None, mark: Marker) -> str:
    """The words of a page that is parsed already; `mark` says what of it is quoted."""
    return strip_tags(page) if tree is None else lay_out(tree, mark)


def parse_page(page: str) -> Element | None:
    """None where there is no page or the parser gave up: libxml2 stops at 256 nested elements and drops the rest."""
    if not page.strip() or _is_bomb(page):
        return None
    parser = etree.HTMLParser(recover=True, encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = etree.fromstring(page.replace("\0", "").encode("utf-8", "replace"), parser)
        if tree is None or any(error.level == etree.ErrorLevels.FATAL for error in parser.error_log):
            return None
    except (etree.LxmlError, ValueError, AssertionError, RecursionError):
        return None
    return tree


def strip_tags(page: str) -> str:
    """For pages no parser reads: tags out, breaks in, in linear time."""
    visible = _LINE_BREAK.sub("\n", _INVISIBLE.sub("", page))
    words = html.unescape(_TAG.sub(" ", visible))
    return _BLANK_LINES.sub("\n\n", _GAP.sub(" ", words)).strip()


def _is_bomb(page: str) -> bool:
    """Parsers compare every attribute of a tag with all before it: 200,000 of them would take minutes."""
    return len(page) > _SHORT and any(tag["last"] for tag in _START_TAG.finditer(page))
