"""Which tier a message gets, what that rests on, and what evidence caps it."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from gateway.directory.lookup import Lookup
from normalizers.message import Proof

Status = Literal["known", "default", "stale", "failed", "capped"]


class TierPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's `tiers` section."""

    order: tuple[str, ...]
    default: str
    minimum_proof: Mapping[str, Proof]


class TierDecision(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is what the message gets, `claimed` what the directory says of the requester."""

    value: str
    claimed: str | None
    status: Status
    proof: Proof
    """The channel's proof, less where the directory does not link the vouched-for account."""
    unproven: bool
    """A tier above the default that rests on less than `platform`."""


def decide(lookup: Lookup, proof: Proof, policy: TierPolicy) -> TierDecision:
    """The proof caps the tier; it never refuses the message."""
    linked = lookup.customer is not None
    if proof is Proof.PLATFORM and not linked:
        proof = Proof.CLAIMED
    if lookup.customer is None:
        status: Status = "failed" if lookup.status == "failed" else "default"
        return TierDecision(value=policy.default, claimed=None, status=status, proof=proof, unproven=False)
    claimed = lookup.customer.tier
    # A tier that asks for no proof is still not given against evidence: a suspect sender gets the default.
    if not proof.reaches(policy.minimum_proof.get(claimed, Proof.ANONYMOUS)):
        return TierDecision(value=policy.default, claimed=claimed, status="capped", proof=proof, unproven=False)
    above_default = policy.order.index(claimed) < policy.order.index(policy.default)
    return TierDecision(
        value=claimed,
        claimed=claimed,
        status="stale" if lookup.status == "stale" else "known",
        proof=proof,
        unproven=above_default and not proof.reaches(Proof.PLATFORM),
    )
