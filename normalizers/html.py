"""HTML of strangers to text that reads like the page."""

import html
import re

import html_text
from lxml import etree  # type: ignore[import-untyped]
from lxml.html import HTMLParser  # type: ignore[import-untyped]

_INVISIBLE = re.compile(r"<(script|style|head|title)\b[^<]*(?:<(?!/\1\b)[^<]*)*+", re.IGNORECASE)
_LINE_BREAK = re.compile(r"<(?:br|hr|/?(?:p|div|tr|li|h[1-6]|table|ul|ol|blockquote))\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<!--|-->|<[a-z/!?][^<>]*>", re.IGNORECASE)
_GAP = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n\s*\n")


def html_to_text(page: str) -> str:
    """The words of a page, one line per block; linear in its length, so the caller bounds that."""
    text = _laid_out(page) if page.strip() else ""
    return _stripped(page) if text is None else text


def _laid_out(page: str) -> str | None:
    """None where the parser gave up: libxml2 stops at 256 nested elements and drops the rest."""
    parser = HTMLParser(recover=True, encoding="utf-8")
    try:
        tree = etree.fromstring(page.replace("\0", "").encode("utf-8", "replace"), parser)
        if tree is None or any(error.level == etree.ErrorLevels.FATAL for error in parser.error_log):
            return None
        etree.strip_elements(tree, "title", with_tail=False)
        return str(html_text.extract_text(tree))
    except (etree.LxmlError, ValueError, AssertionError, RecursionError):
        return None


def _stripped(page: str) -> str:
    """For pages no parser reads: tags out, breaks in, in linear time."""
    visible = _LINE_BREAK.sub("\n", _INVISIBLE.sub("", page))
    words = html.unescape(_TAG.sub(" ", visible))
    return _BLANK_LINES.sub("\n\n", _GAP.sub(" ", words)).strip()
