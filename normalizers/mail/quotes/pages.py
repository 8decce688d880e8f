"""Which elements of a page hold what others said, by the names mail programs give them."""

import re

from normalizers.html.layout import Element, Mark

_QUOTING_CLASSES = frozenset(
    "gmail_quote yahoo_quoted protonmail_quote tutanota_quote zmail_extra mailquote quoted-mail".split()
)
_RULED_CLASSES = frozenset(("OutlookMessageHeader", "ms-outlook-mobile-reference-message"))
_RULED_IDS = frozenset(("divRplyFwdMsg", "x_divRplyFwdMsg", "mail-editor-reference-message-container"))

_BAR = re.compile(r"border-left(?:-width)?\s*:(?!\s*(?:0|none))", re.IGNORECASE)
# Outlook for Windows draws a grey line above the header block of what it quotes.
_OUTLOOK_LINE = re.compile(
    r"border:\s*none;\s*border-top:\s*solid (?:#E1E1E1|#B5C4DF|windowtext) 1\.0pt;\s*padding:\s*3\.0pt", re.IGNORECASE
)


def mark_quotes(element: Element) -> Mark:
    """A block quote is one only with the bar or the attribute of a program: Gmail's indentation is one, too."""
    tag = element.tag
    if tag == "blockquote":
        classes = (element.get("class") or "").split()
        cited = (element.get("type") or "").lower() == "cite" or element.get("cite") is not None
        return "quote" if cited or not _QUOTING_CLASSES.isdisjoint(classes) or _has_bar(element) else ""
    if tag != "div" and tag != "table":
        return ""
    if (name := element.get("id")) and name in _RULED_IDS:
        return "rule"
    if classes := (element.get("class") or "").split():
        if "gmail_quote" in classes:
            return ""  # its attribution and a block quote, or a forwarded mail
        if not _QUOTING_CLASSES.isdisjoint(classes):
            return "quote"
        if not _RULED_CLASSES.isdisjoint(classes):
            return "rule"
    style = element.get("style")
    return "rule" if style and "border-top" in style and _OUTLOOK_LINE.search(style) else ""


def _has_bar(element: Element) -> bool:
    style = element.get("style")
    return style is not None and _BAR.search(style) is not None
