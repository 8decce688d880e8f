from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product

import pytest

from gateway.directory.lookup import UNKNOWN, Customer, Lookup
from gateway.tagging.tags import tag, tags
from gateway.tagging.tier import TierPolicy, decide
from normalizers.message import Address, Proof

ORDER = ("premium", "business", "free")
CLAIMED = TierPolicy(order=ORDER, default="free", minimum_proof={"premium": Proof.CLAIMED, "business": Proof.CLAIMED})
STRICT = TierPolicy(order=ORDER, default="free", minimum_proof={"premium": Proof.VERIFIED, "business": Proof.CLAIMED})


def known(tier: str, status: str = "known") -> Lookup:
    return Lookup(
        status=status,  # type: ignore[arg-type]
        customer=Customer(customer_id="C-1", tier=tier),
        matched=Address("email", "a@acme.example"),
        source="file",
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("proof", "policy", "value", "status", "unproven"),
    [
        (Proof.VERIFIED, CLAIMED, "premium", "known", False),
        (Proof.PLATFORM, CLAIMED, "premium", "known", False),
        (Proof.CLAIMED, CLAIMED, "premium", "known", True),
        (Proof.ANONYMOUS, CLAIMED, "free", "capped", False),
        (Proof.SUSPECT, CLAIMED, "free", "capped", False),
        (Proof.VERIFIED, STRICT, "premium", "known", False),
        (Proof.PLATFORM, STRICT, "free", "capped", False),
        (Proof.CLAIMED, STRICT, "free", "capped", False),
        (Proof.SUSPECT, STRICT, "free", "capped", False),
    ],
)
def test_proof_caps_a_premium_claim(proof, policy, value, status, unproven):
    decision = decide(known("premium"), proof, policy)
    assert (decision.value, decision.claimed, decision.status, decision.unproven) == (
        value,
        "premium",
        status,
        unproven,
    )


def test_no_policy_lets_a_suspect_have_a_tier():
    open_to_all = TierPolicy(order=ORDER, default="free", minimum_proof={})
    assert decide(known("premium"), Proof.SUSPECT, open_to_all).status == "capped"
    assert decide(known("premium"), Proof.ANONYMOUS, open_to_all).value == "premium"


# One line per proof, one column per tier that the directory claims: what the message gets, and how.
TABLE = """
claimed    premium           business          free
verified   premium known     business known    free known
platform   premium known     business known    free known
claimed    premium unproven  business unproven free known
anonymous  free    capped    free     capped   free known
suspect    free    capped    free     capped   free capped

strict     premium           business          free
verified   premium known     business known    free known
platform   free    capped    business known    free known
claimed    free    capped    business unproven free known
anonymous  free    capped    free     capped   free known
suspect    free    capped    free     capped   free capped

open       premium           business          free
verified   premium known     business known    free known
platform   premium known     business known    free known
claimed    premium unproven  business unproven free known
anonymous  premium unproven  business unproven free known
suspect    free    capped    free     capped   free capped
"""
OPEN = TierPolicy(order=ORDER, default="free", minimum_proof={})
POLICIES = {"claimed": CLAIMED, "strict": STRICT, "open": OPEN}


def rows() -> Iterator[tuple[TierPolicy, Proof, str, str, str]]:
    for block in TABLE.strip().split("\n\n"):
        policy, *lines = block.splitlines()
        for line in lines:
            proof, *cells = line.split()
            for claimed, value, word in zip(ORDER, cells[::2], cells[1::2], strict=True):
                yield POLICIES[policy.split()[0]], Proof(proof), claimed, value, word


@pytest.mark.parametrize(("policy", "proof", "claimed", "value", "word"), list(rows()))
def test_the_table_of_proof_and_tier(policy, proof, claimed, value, word):
    for status in ("known", "stale"):
        decision = decide(known(claimed, status), proof, policy)
        expected = "capped" if word == "capped" else status
        assert (decision.value, decision.claimed, decision.status) == (value, claimed, expected)
        assert (decision.unproven, decision.proof) == (word == "unproven", proof)
        found = tags(channel="c", medium="m", tier=decision.value, inbox="i", brand=None, unproven=decision.unproven)
        assert ("tier_unproven" in found, f"tier_{value}" in found) == (word == "unproven", True)


def test_the_table_knows_every_case():
    found = [(policy, proof, claimed) for policy, proof, claimed, _, _ in rows()]
    assert sorted(map(repr, found)) == sorted(map(repr, product((CLAIMED, STRICT, OPEN), Proof, ORDER)))


@pytest.mark.parametrize(("policy", "proof"), [*product((CLAIMED, STRICT, OPEN), Proof)])
def test_a_tier_that_the_configuration_has_not_is_the_default(policy, proof):
    decision = decide(known("platinum"), proof, policy)
    assert (decision.value, decision.claimed, decision.status) == ("free", "platinum", "default")
    assert not decision.unproven


@pytest.mark.parametrize("proof", list(Proof))
def test_nobody_we_know_gets_the_default(proof):
    decision = decide(UNKNOWN, proof, CLAIMED)
    assert (decision.value, decision.claimed, decision.status) == ("free", None, "default")


def test_a_vouched_for_account_that_no_customer_has_is_only_a_claim():
    assert decide(UNKNOWN, Proof.PLATFORM, CLAIMED).proof is Proof.CLAIMED


def test_the_default_tier_needs_no_warning():
    assert not decide(known("free"), Proof.CLAIMED, CLAIMED).unproven


def test_an_old_answer_says_so():
    assert decide(known("business", "stale"), Proof.CLAIMED, CLAIMED).status == "stale"
    assert decide(Lookup(status="failed"), Proof.CLAIMED, CLAIMED).status == "failed"


@pytest.mark.parametrize(("proof", "tier", "policy"), [*product(Proof, ORDER, (CLAIMED, STRICT))])
def test_a_tier_is_never_higher_than_claimed_and_only_lowered_with_a_word(proof, tier, policy):
    decision = decide(known(tier), proof, policy)
    assert decision.value in {tier, "free"}
    assert (decision.status == "capped") == (not proof.reaches(policy.minimum_proof.get(tier, Proof.ANONYMOUS)))


def test_tags_are_plain_words():
    assert tag("inbox", "Billing-KR 1") == "inbox_billing_kr_1"
    assert tags(channel="email", medium="smtp", tier="premium", inbox="support", brand="example", unproven=True) == (
        "channel_email",
        "medium_smtp",
        "tier_premium",
        "brand_example",
        "inbox_support",
        "tier_unproven",
    )
