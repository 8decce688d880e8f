"""A customer as a foreign system describes them to one of ours: foreign words are bounded, tiers are translated."""

from collections.abc import Iterable, Mapping

from gateway.directory.breaker import Nonsense
from gateway.directory.lookup import Customer
from gateway.directory.matching import Known
from gateway.directory.options import TierNames
from normalizers.message import MessageWarning, Related
from normalizers.text import clean_line

_LONGEST = 200
_MOST_RELATED = 20
_NO_TIER = MessageWarning("tier_unmapped", "the directory names no tier that is known here: the default was given")


class Records:
    """Translates for one source; `tiers` has its words for ours."""

    def __init__(self, names: TierNames, tiers: Mapping[str, str]) -> None:
        self._default = names.default
        self._tiers = {name.lower(): name for name in names.order}
        self._tiers |= {word.strip().lower(): tier for word, tier in tiers.items()}

    def known(
        self,
        *,
        customer_id: object,
        tier: object,
        organization: object = None,
        name: object = None,
        related: Iterable[Related] = (),
    ) -> Known:
        """Raises Nonsense for what has no id, or no text where there must be some."""
        identity = word(customer_id, "customer_id")
        if identity is None:
            raise Nonsense("an answer without a customer_id")
        mapped = self._tiers.get((word(tier, "tier") or "").lower())
        customer = Customer(
            customer_id=identity,
            tier=mapped or self._default,
            organization=word(organization, "organization"),
            name=word(name, "name"),
            related=tuple(dict.fromkeys(related))[:_MOST_RELATED],
        )
        return Known(customer, () if mapped else (_NO_TIER,))


def word(value: object, field: str) -> str | None:
    """One bounded line; None for what is absent or empty. Raises Nonsense for what is no text and no number."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Nonsense(f"an answer whose {field} is no text")
    return clean_line(str(value), _LONGEST) or None
