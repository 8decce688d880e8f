"""The words of a parsed page in the order and lines in which it shows them."""

import re
from collections.abc import Callable
from typing import Any, Literal

from lxml import etree  # type: ignore[import-untyped]

Element = Any
"""An lxml element; lxml ships no types."""
Mark = Literal["", "quote", "rule"]
"""`quote`: said by somebody else, shown as lines with `>`; `rule`: a line is drawn above it."""
Marker = Callable[[Element], Mark]

RULE = "_" * 32
_LONGEST_LINK = 300
_LONGEST_EMOJI = 4
_LONGEST_ALT = 100
_DEEPEST = 10
"""Levels of quotes and lists that are shown; deeper ones look like this one."""

_INVISIBLE = frozenset(
    "applet audio canvas embed head iframe math meta noframes noscript object script style svg template title".split()
)
_INLINE = frozenset("b big em font i o:p s small span strong sub sup u".split())
_LINES = frozenset(
    "address article aside body center dd details dir div dl dt fieldset figcaption figure footer form header hr html "
    "legend li main nav section summary table tbody tfoot thead tr".split()
)
_PARAGRAPHS = frozenset("blockquote h1 h2 h3 h4 h5 h6 ol p pre ul".split())
_CELLS = frozenset(("td", "th"))
_LISTS = frozenset(("ul", "ol"))

_GAP = re.compile(r"[ \t\r\n\f]+")
_SPACED = re.compile(r"[\t\r\n\f]|  ")
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_HOST = re.compile(r"\s*https?://(?:[^/?#@\s]*@)?(?:www\.)?([^/?#:@\s]+)", re.IGNORECASE)
_TIGHT = re.compile(r"margin(?:-bottom)?\s*:\s*0(?![.\d]*[1-9])", re.IGNORECASE)


def lay_out(tree: Element, mark: Marker | None = None) -> str:
    """Lists have bullets, links the address their words do not tell, files among the words a name, quotes `>`."""
    layout = _Layout()
    walk = etree.iterwalk(tree, events=("start", "end"))
    skipped = None
    for event, element in walk:
        tag = element.tag
        if event == "end":
            if element is skipped:
                skipped = None
            elif tag not in _INLINE:
                layout.close(element, tag)
            if (tail := element.tail) and element is not tree:
                layout.add(tail)
            continue
        style = element.get("style")
        if tag in _INVISIBLE or (style and "none" in style and _HIDDEN.search(style)):
            walk.skip_subtree()
            skipped = element
            continue
        if tag not in _INLINE:
            layout.open(element, tag, mark(element) if mark else "")
        if text := element.text:
            layout.add(text)
    return layout.text()


class _Layout:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._depth = 0
        self._quotes: list[Element] = []
        self._lists: list[int | None] = []
        self._tables: list[bool] = []
        self._links: list[int] = []
        self._verbatim = 0
        self._bullet = ""
        self._wants_blank = False

    def open(self, element: Element, tag: str, mark: Mark) -> None:
        self._break(element, tag)
        if mark == "rule":
            self._lines += ["", RULE]
        elif mark == "quote":
            self._end_line()
            self._quotes.append(element)
            self._depth += 1
        if tag in _LISTS:
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._number()
        elif tag == "table":
            self._tables.append(element.get("border") not in (None, "", "0"))
        elif tag in _CELLS and self._tables:
            self._tables[-1] |= tag == "th"
            if self._line:
                self._line.append(" | " if self._tables[-1] else " ")
        elif tag == "a":
            self._links.append(len(self._line))
        elif tag == "pre":
            self._verbatim += 1
        elif tag == "img" and (alt := (element.get("alt") or "").strip()):
            if len(alt) <= _LONGEST_EMOJI and not alt.isascii():
                self._line.append(alt)  # an emoji drawn by the sender's program
            elif len(alt) <= _LONGEST_ALT and (element.get("src") or "").startswith("cid:"):
                self._line.append(f"[{_GAP.sub(' ', alt)}]")

    def close(self, element: Element, tag: str) -> None:
        if tag == "br":
            self._end_line(force=True)
        elif tag == "a" and self._links:
            self._tell_link(element.get("href"), self._links.pop())
        elif tag in _LISTS and self._lists:
            self._lists.pop()
        elif tag == "table" and self._tables:
            self._tables.pop()
        elif tag == "pre":
            self._verbatim -= 1
        self._break(element, tag)
        if self._quotes and element is self._quotes[-1]:
            self._end_line()
            self._quotes.pop()
            self._depth -= 1

    def add(self, text: str) -> None:
        if self._verbatim:
            first, *rest = text.split("\n")
            self._line.append(first)
            for line in rest:
                self._end_line(force=True)
                self._line.append(line)
            return
        words = _GAP.sub(" ", text) if _SPACED.search(text) else text
        if not self._line or self._line[-1].endswith(" "):
            words = words.removeprefix(" ")
        if words:
            self._line.append(words)

    def text(self) -> str:
        self._end_line()
        return "\n".join(self._lines).strip("\n")

    def _break(self, element: Element, tag: str) -> None:
        if tag in _LINES:
            self._end_line()
        elif tag in _PARAGRAPHS:
            self._end_line()
            # Outlook writes a paragraph for every line, and an empty one where a line is to be left out.
            style, kind = element.get("style"), element.get("class")
            tight = tag == "p" and ((kind and kind.startswith("Mso")) or (style and _TIGHT.search(style)))
            self._wants_blank |= not (tight or self._lists)

    def _number(self) -> None:
        mark = "-"
        if self._lists and (count := self._lists[-1]) is not None:
            self._lists[-1] = count + 1
            mark = f"{count + 1}."
        self._bullet = "  " * min(len(self._lists) - 1, _DEEPEST) + mark + " "

    def _tell_link(self, href: str | None, start: int) -> None:
        words = "".join(self._line[start:]).strip()
        if not words or not href or len(href) > _LONGEST_LINK or not (host := _HOST.match(href)):
            return
        if host[1].lower() not in words.lower():
            self._line.append(f" ({href.strip()})")

    def _end_line(self, force: bool = False) -> None:
        """`force`: even an empty one; otherwise only what was written ends a line."""
        line = "".join(self._line)
        self._line.clear()
        if not line and not force:
            return
        prefix = "> " * min(self._depth, _DEEPEST)
        line = line.replace("\xa0", " ").rstrip()
        if self._wants_blank and self._lines and self._lines[-1].strip("> "):
            self._lines.append(_common(prefix, self._lines[-1]))
        self._wants_blank = False
        if line and self._bullet:
            line, self._bullet = self._bullet + line, ""
        if line or (self._lines and self._lines[-1].strip("> ")):
            self._lines.append((prefix + line).rstrip())


def _common(prefix: str, above: str) -> str:
    """A blank line belongs to a quote if the lines above and below it do."""
    quoted = len(above) - len(above.lstrip("> "))
    return prefix[:quoted].rstrip()
