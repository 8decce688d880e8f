"""Where in the lines of a mail the words of others begin that nobody wrote anything under.

Order of virtues: nothing of the writer's is lost, then quotes are cut. A line counts as quoted only where a program
said so; words between or below quoted lines keep all that is above them.
"""

import re

from normalizers.mail.quotes import markers
from normalizers.mail.quotes.signatures import closing_signature

_MOST_WRAPPED = 4
_MOST_CANDIDATES = 500
_MOST_BLOCKS = 100
_MOST_HEADER_LINES = 40
_FEWEST_HEADINGS = 3
_FEWEST_BEFORE_TIME = 6

_RULE = re.compile(r"[ \t>*]*(?:_{5,}|-{5,}|={5,})[ \t*]*")
_ANY_HEADING = re.compile(r"[ \t\xa0>*]*[^\W\d_][^\n:：<>@]{0,28}[ \t\xa0*]*[:：](?!//)")
_ENDS_ATTRIBUTION = re.compile(r"[:：][ \t\xa0*]*$|wrote(?: ?-{4})?[ \t]*$")
_TIME = re.compile(r"\d[:.]\d\d")
_NUMBER = re.compile(r"\d")
_MAILBOX = re.compile(r"<[^<>@\s]+@[^<>\s]+>")
_PATCH = re.compile(r"From [0-9a-f]{7,64} ")
_QUOTED = re.compile(r"[ \t]{0,3}>")


class Split:
    """`end`: how many lines are to be kept; `signature`: the line under the quote from which a signature runs."""

    def __init__(self, end: int, signature: int | None = None, *, without_marks: bool = False) -> None:
        self.end = end
        self.signature = signature
        self.without_marks = without_marks
        """Of a mail that is answered and quoted without `>`: the answers may stand anywhere in it."""


def split_quotes(lines: list[str], reply: bool) -> Split:
    """`reply`: its headers say that it answers a mail, so that `>` lines at its end need no line above them."""
    return _Splitter(lines, reply).split()


class _Splitter:
    def __init__(self, lines: list[str], reply: bool) -> None:
        self._lines = lines
        # `_reply`: that it answers a mail is all that speaks for a quote so far.
        self._certain = self._reply = reply
        self._blocks_read = 0
        self._attributions = self._find_attributions()

    def split(self) -> Split:
        lines = self._lines
        quote: int | None = None
        at = 0
        while at < len(lines):
            line = lines[at]
            if _QUOTED.match(line):
                if quote is None:
                    quote = at
                    if self._is_told_by_itself(at):
                        self._certain, self._reply = True, False
            elif line.strip():
                if (length := self._attribution(at)) is not None:
                    is_marked = self._is_quoted_from(at + length)
                    if is_marked or quote is not None or self._is_timed(at, length):
                        quote = at if quote is None else quote
                        self._certain, self._reply = True, False
                        if not is_marked:
                            return Split(quote, without_marks=True)
                    at += length  # else somebody tells what another wrote
                    continue
                if (kind := self._block(at)) is not None:
                    if self._above(at).endswith((":", "：")):
                        return Split(len(lines))  # somebody shows it
                    return Split(at if quote is None else quote, without_marks=kind == "reply")
                if quote is not None and (signed := closing_signature(lines, at)):
                    return Split(self._end(quote), signature=at if signed else None)
                if quote is not None and self._reply:
                    self._certain = False  # lines with `>` above words, and no program says what they are
                quote = None
            at += 1
        return Split(self._end(quote))

    def _end(self, quote: int | None) -> int:
        if quote is None or not self._certain or self._is_announced(quote):
            return len(self._lines)
        return quote

    def _is_announced(self, quote: int) -> bool:
        """A writer who ends with a colon shows the lines below; a program's attribution is part of the quote."""
        above = self._above(quote)
        return bool(_QUOTED.match(self._lines[quote])) and above.endswith((":", "："))

    def _attribution(self, at: int) -> int | None:
        """How many lines it takes, if one begins here."""
        length = self._attributions.get(at)
        if length is None:
            return None
        if self._is_quoted_from(at + length):
            return length
        line = markers.one_line(self._lines[at : at + length])
        return length if markers.is_exact(line) and markers.is_attribution(line) else None

    def _find_attributions(self) -> dict[int, int]:
        """First line to number of lines."""
        found: dict[int, int] = {}
        ends = [at for at, line in enumerate(self._lines) if _ENDS_ATTRIBUTION.search(line[-12:])]
        for end in ends[:_MOST_CANDIDATES]:
            if (start := self._start_of_attribution(end)) is not None:
                found[start] = end - start + 1
        return found

    def _start_of_attribution(self, end: int) -> int | None:
        """The fewest lines that read as one and have an address, else the fewest that read as one."""
        above_quote = self._is_quoted_from(end + 1, near=True)
        without_address = in_no_table = None
        for start in range(end, max(end - _MOST_WRAPPED, -1), -1):
            if not self._lines[start].strip() or _QUOTED.match(self._lines[start]):
                break
            line = markers.one_line(self._lines[start : end + 1])
            if markers.is_attribution(line):
                if markers.is_exact(line):
                    return start
                without_address = start if without_address is None else without_address
            elif above_quote and in_no_table is None and _names_a_writer(line):
                in_no_table = start
        return in_no_table if without_address is None else without_address

    def _is_quoted_from(self, at: int, near: bool = False) -> bool:
        """Whether the next line with words is a quoted one."""
        for line in self._lines[at : at + (2 if near else 4)]:
            if line.strip():
                return _QUOTED.match(line) is not None
        return False

    def _is_told_by_itself(self, at: int) -> bool:
        """Some programs put the attribution behind `>`, too."""
        inner = [line.lstrip(" \t>") for line in self._lines[at : at + _MOST_WRAPPED]]
        if any(markers.is_attribution(markers.one_line(inner[: count + 1])) for count in range(len(inner))):
            return True
        return self._header_block(at)

    def _block(self, at: int) -> markers.Separator | None:
        """Whether from here on it is another mail without any `>`: answered or passed on."""
        line = self._lines[at]
        if kind := markers.separator_of(line):
            return kind
        if _RULE.fullmatch(line):
            return "reply" if self._header_block(self._next(at + 1), any_language=line.count("_") >= 20) else None
        if line.lstrip(" *").startswith("--") and line.rstrip(" *").endswith("--"):  # a language that is in no table
            return "reply" if self._header_block(self._next(at + 1), any_language=True) else None
        if ":" not in line and "：" not in line:
            return None
        if kind := markers.bare_separator_of(markers.one_line([line])):
            following = self._next(at + 1)
            return kind if self._is_quoted_from(at + 1) or self._header_block(following) else None
        if markers.heading_of(line) and not self._above(at).endswith((":", "：")):
            return "reply" if self._header_block(at) and not self._is_form(at) else None
        return None

    def _is_form(self, at: int) -> bool:
        """People fill in forms, and show mails: programs begin with From, and say soon when it was."""
        above = self._lines[at - 1] if at else ""
        if _ANY_HEADING.match(above) or _PATCH.match(above):
            return True
        kinds: list[str] = []
        for line in self._lines[at : at + _FEWEST_BEFORE_TIME]:
            kind = markers.heading_of(line)
            if kind is None:
                break
            kinds.append(kind)
            if kind == "sent":
                return "to" in kinds and "@" not in self._lines[at]
        return True

    def _is_timed(self, at: int, length: int) -> bool:
        return any(_TIME.search(line) for line in self._lines[at : at + length])

    def _header_block(self, at: int, any_language: bool = False) -> bool:
        """From, Subject and Sent or To, whatever their order, with an address or the time: people fill in forms, too.

        `any_language`: a line was drawn above. Then three lines with any names will do, if the first has an address and
        one a time of day, as Outlook writes them.
        """
        self._blocks_read += 1
        if self._blocks_read > _MOST_BLOCKS:  # a log, or somebody who wants to keep us busy
            return False
        kinds: set[str] = set()
        headings: list[str] = []
        blank = 0
        for line in self._lines[at : at + _MOST_HEADER_LINES]:
            if not line.strip():
                blank += 1
                if blank > 1:
                    break
                continue
            kind = markers.heading_of(line)
            if kind or _ANY_HEADING.match(line):
                headings.append(line)
                kinds.add(kind or "others")
            elif blank or not headings:
                break
            elif _RULE.fullmatch(line):  # a box with a label in it
                return False
            blank = 0
        timed = any(_TIME.search(line) for line in headings)
        if {"from", "subject"} <= kinds and {"sent", "to"} & kinds:
            return timed or any("@" in line for line in headings)
        return any_language and len(headings) >= _FEWEST_HEADINGS and "@" in headings[0] and timed

    def _next(self, at: int) -> int:
        while at < len(self._lines) and not self._lines[at].strip():
            at += 1
        return at

    def _above(self, at: int) -> str:
        """The line right above, or above one blank line."""
        for line in reversed(self._lines[max(at - 2, 0) : at]):
            if line.strip():
                return line.strip()
        return ""


def _names_a_writer(line: str) -> bool:
    """For languages in no table: an address, or at least three numbers, in the line above a quote."""
    return len(line) <= 300 and (_MAILBOX.search(line) is not None or len(_NUMBER.findall(line)) >= 6)
