"""What stands under a mail and is no part of what it says: a signature, a program's advertisement, a disclaimer."""

import re

from normalizers.mail.quotes import markers

_LONGEST_SIGNATURE = 15
_LONGEST_UNSURE = 8
_LONGEST_FOOTER = 5
_MOST_LAYERS = 4

_SENTENCE = re.compile(
    r".{70}|[!?]\s*$|(?:\w{3}|\W)[.]\s*$(?<!Inc\.)(?<!Ltd\.)(?<!Corp\.)|[。！？]\s*$|(?:다|요|니다)\.?\s*$"
)
_POSTSCRIPT = re.compile(r"\s*(?:P\.? ?S\.?(?:\s|:)|P\.? ?D\.?:|N\.?B\.?:|추신|追伸|追記|附言|又及)")
_LIST_RULE = re.compile(r"_{2,}[ \t]*")


def closing_signature(lines: list[str], at: int) -> bool:
    """Whether everything from this line on is a signature."""
    if (longest := _delimits(lines[at])) is not None:
        return _is_signed(lines[at], _below(lines, at, longest), longest)
    if _LIST_RULE.fullmatch(lines[at]):
        below = _below(lines, at, _LONGEST_FOOTER)
        return len(below) <= _LONGEST_FOOTER and any("mailing list" in line.lower() for line in below)
    below = _below(lines, at, _MOST_LAYERS)
    return len(below) <= _MOST_LAYERS and all(
        markers.is_signature(markers.one_line([line])) for line in (lines[at], *below)
    )


def signature_start(lines: list[str]) -> int:
    """The line from which on nothing but signatures follows; the number of lines where there is none."""
    end = _delimited(lines)
    for _ in range(_MOST_LAYERS):
        while end and not lines[end - 1].strip():
            end -= 1
        start = _last_paragraph(lines, end)
        if end and markers.is_signature(markers.one_line([lines[end - 1]])):
            end -= 1
        elif end - start and markers.is_disclaimer("\n".join(lines[start:end])):
            end = start
        else:
            break
    return end if any(line.strip() for line in lines[end:]) else len(lines)


def _delimited(lines: list[str]) -> int:
    """Where `-- ` (RFC 3676, 4.3) stands; without its space, as many programs leave it, only if it stands alone."""
    unsure = [at for at, line in enumerate(lines) if line == "--"]
    for at in range(max(len(lines) - _LONGEST_SIGNATURE * 2, 0), len(lines)):
        longest = _delimits(lines[at])
        if longest is None or (lines[at] == "--" and len(unsure) > 1):
            continue
        below = _below(lines, at, longest)
        if _is_signed(lines[at], below, longest) and not any(line.startswith(">") for line in below):
            return at
    return len(lines)


def _delimits(line: str) -> int | None:
    """How many lines may follow."""
    if line in ("-- ", "--\xa0"):
        return _LONGEST_SIGNATURE
    return _LONGEST_UNSURE if line == "--" else None


def _is_signed(delimiter: str, below: list[str], longest: int) -> bool:
    """Without its space the delimiter is in doubt: sentences below it are words."""
    if len(below) > longest or any(_POSTSCRIPT.match(line) for line in below):
        return False
    return not (delimiter == "--" and any(_SENTENCE.search(line) for line in below))


def _below(lines: list[str], at: int, enough: int) -> list[str]:
    """The lines with words under this one, one more than `enough` at most."""
    found: list[str] = []
    for below in range(at + 1, len(lines)):
        if lines[below].strip():
            found.append(lines[below])
            if len(found) > enough:
                break
    return found


def _last_paragraph(lines: list[str], end: int) -> int:
    start = end
    while start and lines[start - 1].strip():
        start -= 1
    return start
