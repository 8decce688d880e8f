"""DMARC (RFC 7489): what a domain publishes about mail in its name, and whether this mail is that."""

import re
from collections.abc import Sequence
from typing import Final, cast

import msgspec

from channels.email.authentication.names import aligned, organization
from channels.email.authentication.resolver import Resolver, Unanswered
from normalizers.mailed import Dkim, Dmarc, DmarcPolicy, DmarcResult, Spf

LONGEST_RECORD: Final = 4096

_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_VERSION: Final = re.compile(r"v\s*=\s*DMARC1\s*(?:;|$)")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one domain of a From header."""

    published: DmarcPolicy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    trouble: DmarcResult | None = None
    """Why nothing is known: `temperror` or `permerror`."""


UNKNOWN: Final = Policy(strict_dkim=True, strict_spf=True, trouble="temperror")
"""While the DNS does not say what the domain asks for, only the very same domain will do."""
NONE: Final = Policy()
BROKEN: Final = Policy(trouble="permerror")


async def look_up(domain: str, resolver: Resolver) -> Policy:
    """RFC 7489 6.6.3: of the domain, else of its organisation."""
    try:
        found = await _record(domain, resolver)
        if found is not None:
            return read(found, inherited=False)
        parent = organization(domain)
        if parent is None or parent == domain:
            return NONE
        found = await _record(parent, resolver)
    except Unanswered:
        return UNKNOWN
    return NONE if found is None else read(found, inherited=True)


def read(record: str, *, inherited: bool) -> Policy:
    """`inherited`: it is that of the organisation. A percentage is not honoured: a failure is a failure."""
    tags: dict[str, str] = {}
    for tag in record[:LONGEST_RECORD].split(";"):
        name, _, value = tag.partition("=")
        tags.setdefault(name.strip().lower(), value.strip().lower())
    asked, below = tags.get("p"), tags.get("sp")
    if asked not in _POLICIES or (below is not None and below not in _POLICIES):
        if "mailto:" not in tags.get("rua", ""):
            return BROKEN
        asked = below = "none"
    return Policy(
        published=cast("DmarcPolicy", below if inherited and below else asked),
        strict_dkim=tags.get("adkim") == "s",
        strict_spf=tags.get("aspf") == "s",
    )


def align(
    author: str | None, policy: Policy, spf: Spf | None, dkim: Sequence[Dkim]
) -> tuple[Spf | None, tuple[Dkim, ...]]:
    """The same results, each with whether it speaks for the domain of the From header."""
    if spf is not None:
        matches = aligned(spf.domain, author, strict=policy.strict_spf)
        spf = Spf(result=spf.result, domain=spf.domain, aligned=matches)
    signed = tuple(
        Dkim(
            result=one.result,
            domain=one.domain,
            selector=one.selector,
            aligned=aligned(one.domain, author, strict=policy.strict_dkim),
        )
        for one in dkim
    )
    return spf, signed


def evaluate(author: str, policy: Policy, spf: Spf | None, dkim: Sequence[Dkim]) -> Dmarc | None:
    """Of aligned results. None where nobody can say: SPF was not asked, and no signature proves it."""
    results: list[str] = [one.result for one in dkim if one.aligned]
    results += [spf.result] if spf is not None and spf.aligned else []
    result: DmarcResult
    if policy.trouble is not None:
        result = policy.trouble
    elif policy.published is None:
        result = "none"
    elif "pass" in results:
        result = "pass"
    elif spf is None:
        return None
    else:
        result = "temperror" if "temperror" in results else "fail"
    return Dmarc(result=result, domain=author, policy=policy.published)


async def _record(domain: str, resolver: Resolver) -> str | None:
    """The one record; several are none."""
    records = [one for one in await resolver.ask(f"_dmarc.{domain}", "TXT") if _VERSION.match(one)]
    return records[0] if len(records) == 1 else None
