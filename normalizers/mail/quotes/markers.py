"""The marker table, read once: what a line says about the lines under it.

Lines are matched by re2, or by patterns without two wildcards: whatever strangers write, the time is linear in it.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

import re2  # type: ignore[import-untyped]  # ships no types

Heading = Literal["from", "sent", "to", "others", "subject"]
Separator = Literal["reply", "forward"]

_TABLE = Path(__file__).with_name("markers.toml")
_LONGEST_LINE = 600
_LONGEST_SIGNATURE = 100

_PLACEHOLDERS = {
    "{date}": r"[^<>@]*?\d[^<>@]*?",
    "{digits}": r"\d+",
    "{who}": r".+?",
    "{from}": r"(?:[^<>]*<[^<>]+>|[^<>0-9]+)",
    "{mailbox}": r"[^<>]*<[^<>@]+@[^<>]+>",
    "{device}": r"([^<>,;!?]*?)",
}
_DEVICE = re.compile(
    r"(?:[\w.'’+/®™]+[ -]){0,4}(?:三星|삼성|갤럭시)?[ ]?"
    r"(?i:i(?:Phone|Pad|Pod|OS)|Mac(?:Book)?|Galaxy|Samsung|Android|BlackBerry|Huawei|Xiaomi|Redmi|Pixel|Nokia|Motorola|"
    r"Xperia|Windows|LG|OPPO|vivo|mobile|smartphone|phone|tablet|handy|mobiltelefon|m[óo]vil|t[ée]l[ée]phone|갤럭시|"
    r"안드로이드|스마트폰|휴대폰|핸드폰|アンドロイド|スマートフォン|スマホ|携帯|手机|手機)"
    r"(?:[ -]?(?:[A-Z0-9][\w+.-]*|smartphone|phone|device|mobile|tablet|스마트폰|휴대폰|智慧型手機|手机|手機))*",
)
_TOKEN = re.compile(r"\{\w+\}|\((?:[^()|]*\|)+[^()|]*\)|\s+|[,，、:：'’]|.")
_SPECIAL = {",": r"\s*[,，、]?\s*", ":": r"\s*[:：]", "'": "['’]"}
_SPECIAL |= {"，": _SPECIAL[","], "、": _SPECIAL[","], "：": _SPECIAL[":"], "’": _SPECIAL["'"]}
_LINK = re.compile(r"\s*[<(\[]?https?://[^\s<>()]+[>)\]]?\s*$")

_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_DASHED = re.compile(
    r"[ \t>*]*+(-{2,}+|_{3,}+|={3,}+)[ \t]*+\[?[ \t]*+(\S[^\n]{1,60}?)[ \t]*\]?[ \t]*(?:-{2,}+|_{3,}+|={3,}+)[ \t*]*+"
)
# People tell of letters, too, in the same words.
_PROSE = re.compile(
    r"\b(?:I|we|We|who|which|and|he|she|they) wrote|\b(?:received|got|says|said|[Yy]our (?:agent|colleague))\b"
    r"|schrieb(?:en)? (?:ich|wir|mir|uns)\b"
    r"|(?:내가|제가|저희가|저에게|저한테) |\b(?:m'a|nous a|me) (?:écrit|escribió)"
)
_EXACT = re.compile(r"@|\d{4}.*\byou wrote")


@cache
def table() -> dict[str, list[dict[str, Any]]]:
    """The rows of markers.toml by their kind."""
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))


def one_line(lines: list[str]) -> str:
    """Wrapped lines as one, every white space a single space, nothing invisible."""
    return " ".join(_INVISIBLE.sub("", " ".join(lines)).split())


def is_attribution(line: str) -> bool:
    """Whether somebody's program says here who wrote what follows; `line` comes from `one_line`."""
    return len(line) <= _LONGEST_LINE and _attributions().fullmatch(line) is not None and not _PROSE.search(line)


def is_exact(line: str) -> bool:
    """An attribution with an address: programs write those, people hardly do."""
    return _EXACT.search(line) is not None


def separator_of(line: str) -> Separator | None:
    """What follows a line like `-----Original Message-----`."""
    dashed = _DASHED.fullmatch(line, 0, _LONGEST_LINE)
    return _separators()[False].get(_folded(dashed[2])) if dashed else None


def bare_separator_of(line: str) -> Separator | None:
    """What follows a line like `Begin forwarded message:`, if a header block or a quote does."""
    return _separators()[True].get(_folded(line)) if len(line) <= _LONGEST_LINE else None


def heading_of(line: str) -> Heading | None:
    """Which line of a header block this is."""
    found = _headings().match(line)
    return found.lastgroup if found else None  # type: ignore[return-value]  # the groups are named by Heading


def is_signature(line: str) -> bool:
    """Whether a program wrote this under the mail."""
    words = _LINK.sub("", line[:_LONGEST_LINE])
    if not 4 <= len(words) <= _LONGEST_SIGNATURE:
        return False
    any_of_them, each = _signatures()
    return any_of_them.fullmatch(words) is not None and any(_written_on(one.fullmatch(words)) for one in each)


def _written_on(found: Any) -> bool:
    """Whether what stands in the place of a device, if there is one, is one."""
    return found is not None and all(device is None or _DEVICE.fullmatch(device.strip()) for device in found.groups())


def is_disclaimer(paragraph: str) -> bool:
    """Whether a lawyer wrote this paragraph."""
    start = paragraph.lstrip(" *_-\t\n")
    for row in table()["disclaimer"]:
        if start.startswith(tuple(row["opens"])):
            said = one_line([start]).lower()
            if all(any(phrase.lower() in said for phrase in row[must]) for must in ("says", "and_says")):
                return True
    return False


def says_below(words: str, *, marked: bool = False) -> bool:
    """Whether the answers are announced to stand in the quote; `marked`: in one with `>`, in another type or colour."""
    words = words.lower()
    kind = "marked" if marked else "phrases"
    return any(phrase.lower() in words for row in table()["below"] for phrase in row[kind])


def pattern_of(template: str) -> str:
    """The regular expression of a template of the table; raises KeyError for a placeholder it does not know."""
    return "".join(_piece(token) for token in _TOKEN.findall(template))


def _piece(token: str) -> str:
    if token.startswith("{"):
        return _PLACEHOLDERS[token]
    if len(token) > 1 and token.startswith("("):
        return "(?:" + "|".join(pattern_of(word) for word in token[1:-1].split("|")) + ")"
    return r"\s*" if token.isspace() else _SPECIAL.get(token) or re.escape(token)


@cache
def _attributions() -> Any:
    patterns = "|".join(pattern_of(row["line"]) for row in table()["attribution"])
    return re2.compile(rf"[\s*–—-]*(?:{patterns})[\s*]*", _options())


@cache
def _signatures() -> tuple[Any, list[Any]]:
    """All lines in one pattern, which few lines of a mail match, and each by itself."""
    patterns = [pattern_of(line) for row in table()["signature"] for line in row["lines"]]
    around = r"[\s*_~>(\[-]*(?i:{})[.。!]?[)\]]?[\s*_.]*"
    each = [re2.compile(around.format(pattern), _options()) for pattern in patterns]
    return re2.compile(around.format("|".join(patterns)), _options()), each


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


@cache
def _separators() -> tuple[dict[str, Separator], dict[str, Separator]]:
    found: tuple[dict[str, Separator], dict[str, Separator]] = ({}, {})
    for row in table()["separator"]:
        for words in row["words"]:
            found[row.get("bare", False)][_folded(words)] = "forward" if row.get("forward") else "reply"
    return found


@cache
def _headings() -> re.Pattern[str]:
    kinds: dict[str, set[str]] = {}
    for row in table()["header"]:
        for kind in ("from", "sent", "to", "others", "subject"):
            kinds.setdefault(kind, set()).update(row[kind])
    groups = "|".join(
        f"(?P<{kind}>{'|'.join(sorted(map(re.escape, names), key=len, reverse=True))})" for kind, names in kinds.items()
    )
    return re.compile(rf"[ \t\xa0>*|]*(?:{groups})[ \t\xa0*]*[:：]")


def _folded(words: str) -> str:
    return "".join(_INVISIBLE.sub("", words).lower().replace("’", "'").strip(" \t*[]").split()).replace("：", ":")
