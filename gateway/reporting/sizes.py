"""Bytes for people."""

_UNITS = ((1_000_000, "MB"), (1_000, "kB"))


def size(count: int) -> str:
    """`512 B`, `24.6 kB`, `1.1 MB`; larger ones stay megabytes, so that two of them compare at a glance."""
    for scale, unit in _UNITS:
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count:,} B"
