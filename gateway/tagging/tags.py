"""Tags that need no human: lower case, `[a-z0-9_]`."""

import re
from functools import lru_cache

_OTHER = re.compile(r"[^a-z0-9_]+")


@lru_cache(maxsize=4096)
def tag(kind: str, value: str) -> str:
    """`tag("inbox", "billing-kr")` is `inbox_billing_kr`."""
    return f"{kind}_{_OTHER.sub('_', value.lower())}"


@lru_cache(maxsize=4096)
def tags(*, channel: str, medium: str, tier: str, inbox: str, brand: str | None, unproven: bool) -> tuple[str, ...]:
    """The tags every envelope carries, in the order a reader sees them."""
    found = [tag("channel", channel), tag("medium", medium), tag("tier", tier)]
    if brand is not None:
        found.append(tag("brand", brand))
    found.append(tag("inbox", inbox))
    if unproven:
        found.append("tier_unproven")
    return tuple(found)
