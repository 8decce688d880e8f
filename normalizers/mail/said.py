"""What was said just now, apart from what is quoted, forwarded or signed under it."""

import re

import msgspec

from normalizers.mail.quotes.markers import says_below
from normalizers.mail.quotes.signatures import signature_start
from normalizers.mail.quotes.splitter import split_quotes

_NOTHING = re.compile(r"[\s>*_=|-]*")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the new words; `full` everything, None where that is the same."""

    text: str
    full: str | None = None
    signature: str | None = None


def said(words: str, *, reply: bool = False) -> Said:
    """Loses nothing the customer wrote: where it is in doubt what is new, all of it is. `reply`: it answers a mail."""
    lines = words.split("\n")
    split = split_quotes(lines, reply)
    kept = lines[: split.end]
    # Answers found between quoted lines are those that were announced.
    marked = not split.without_marks
    if len(kept) < len(lines) and not (marked and any(line.startswith(">") for line in kept)):
        kept = lines if says_below("\n".join(kept), marked=marked) else kept
    end = signature_start(kept)
    text = "\n".join(kept[:end]).rstrip()
    if _NOTHING.fullmatch(text):
        return Said(text=words)
    signature = kept[end:] if split.signature is None else lines[split.signature :]
    return Said(
        text=text,
        full=None if text == words else words,
        signature="\n".join(signature).strip("\n").rstrip() or None,
    )
