"""Patterns of names: whether two of them can mean the same one."""

import re
from fnmatch import fnmatchcase
from typing import Final

_TOKEN: Final = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_MANY: Final = "*"


def meet(pattern: str, name: str) -> bool:
    """Whether some text fits both; `pattern` may hold `*`, `?` and `[…]`, `name` may hold `*`.

    A `[…]` against a `*` is taken to fit, whatever stands in it.
    """
    if _MANY not in name:
        return fnmatchcase(name, pattern)
    tokens: list[str] = _TOKEN.findall(pattern)
    # reached[n]: the tokens so far can fit the first n characters of the name.
    reached = _past_stars([True] + [False] * len(name), name)
    for token in tokens:
        before, reached = reached, [False] * (len(name) + 1)
        for at, possible in enumerate(before):
            if not possible:
                continue
            if token == _MANY:
                reached[at:] = [True] * (len(name) + 1 - at)
                break
            if at < len(name) and name[at] == _MANY:
                reached[at] = True  # one more character of what the star of the name stands for
            elif at < len(name) and fnmatchcase(name[at], token):
                reached[at + 1] = True
        reached = _past_stars(reached, name)
    return reached[-1]


def _past_stars(reached: list[bool], name: str) -> list[bool]:
    """A star of the name may stand for nothing."""
    for at, character in enumerate(name):
        if character == _MANY and reached[at]:
            reached[at + 1] = True
    return reached
