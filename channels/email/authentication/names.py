"""Domain names as the DNS knows them, and which of them belong to one organisation."""

from functools import cache
from typing import Final

import idna
from publicsuffixlist import PublicSuffixList

SPECIAL_USE: Final = frozenset({"alt", "example", "invalid", "local", "localhost", "onion", "test"})
"""RFC 6761, 6762, 7686, 9476: top-level names the DNS knows nothing of."""
_LONGEST: Final = 253


def dns_name(domain: str) -> str | None:
    """In lower case and A-labels (IDNA 2008), without a dot at the end; None for what can be no mail domain."""
    name = domain.strip().rstrip(".").lower()
    if not name or name.startswith("[") or len(name) > _LONGEST:
        return None
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=False).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    labels = name.split(".")
    fits = len(name) <= _LONGEST and all(0 < len(label) < 64 and _plain(label) for label in labels)
    return name if fits and len(labels) > 1 else None


def special(name: str) -> bool:
    """Whether asking the DNS for it is no use, or would tell strangers what is none of their business."""
    top = name.rstrip(".").rpartition(".")[2].lower()
    return top in SPECIAL_USE or "." not in name.rstrip(".")


def aligned(one: str | None, other: str | None, *, strict: bool = False) -> bool:
    """RFC 7489 3.1: the same domain, or unless `strict` two of one organisation; both as `dns_name` gives them."""
    if not one or not other:
        return False
    if one == other:
        return True
    return not strict and organization(one) == organization(other) is not None


def organization(name: str) -> str | None:
    """The domain its owner registered (RFC 7489 3.2); None for a public suffix itself."""
    found: str | None = public_suffixes().privatesuffix(name)
    return found


@cache
def public_suffixes() -> PublicSuffixList:
    """Reads a file, the first time: 40 ms."""
    return PublicSuffixList()


def _plain(label: str) -> bool:
    return label.replace("-", "").replace("_", "").isalnum()
