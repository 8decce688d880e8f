"""Which tier a message gets, what that rests on, and what evidence caps it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

from gateway.directory.lookup import Lookup
from normalizers.message import Proof

Status = Literal["known", "default", "stale", "failed", "capped"]


class Ground(StrEnum):
    """What decides about a tier: the first of these that is so."""

    AWAY = "away"
    """The directory did not answer, and nothing is known of the requester."""
    NOBODY = "nobody"
    """The directory names no customer, or names several."""
    RETIRED = "retired"
    """The customer's tier is not in `tiers.order`: the directory is older or newer than the configuration."""
    CAPPED = "capped"
    """The proof is below the tier's minimum."""
    STALE = "stale"
    """The directory is away; this is what it said last."""
    KNOWN = "known"


_STATUS: Mapping[Ground, Status] = {
    Ground.AWAY: "failed",
    Ground.NOBODY: "default",
    Ground.RETIRED: "default",
    Ground.CAPPED: "capped",
    Ground.STALE: "stale",
    Ground.KNOWN: "known",
}


class TierPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's `tiers` section."""

    order: tuple[str, ...]
    default: str
    minimum_proof: Mapping[str, Proof]

    def needs(self, tier: str) -> Proof:
        """The weakest proof that gets a tier."""
        # A tier that asks for no proof is still not given against evidence: a suspect sender gets the default.
        return self.minimum_proof.get(tier, Proof.ANONYMOUS)


class TierDecision(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is what the message gets, `claimed` what the directory says of the requester."""

    value: str
    claimed: str | None
    status: Status
    ground: Ground
    proof: Proof
    """The channel's proof, less where the directory does not link the vouched-for account."""
    unproven: bool
    """A tier above the default that rests on less than `platform`."""


def decide(lookup: Lookup, proof: Proof, policy: TierPolicy) -> TierDecision:
    """The proof caps the tier; it never refuses the message."""
    customer = lookup.customer
    if customer is None and proof is Proof.PLATFORM:  # the vendor vouches for an account that is nobody's here
        proof = Proof.CLAIMED
    claimed = customer.tier if customer is not None else None
    ground = _ground(lookup, claimed, proof, policy)
    given = claimed if claimed is not None and ground in (Ground.KNOWN, Ground.STALE) else None
    return TierDecision(
        value=given or policy.default,
        claimed=claimed,
        status=_STATUS[ground],
        ground=ground,
        proof=proof,
        unproven=given is not None
        and policy.order.index(given) < policy.order.index(policy.default)
        and not proof.reaches(Proof.PLATFORM),
    )


def _ground(lookup: Lookup, claimed: str | None, proof: Proof, policy: TierPolicy) -> Ground:
    if claimed is None:
        return Ground.AWAY if lookup.status == "failed" else Ground.NOBODY
    if claimed not in policy.order:
        return Ground.RETIRED
    if not proof.reaches(policy.needs(claimed)):
        return Ground.CAPPED
    return Ground.STALE if lookup.status == "stale" else Ground.KNOWN
