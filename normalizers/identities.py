"""Who a customer's own site says is asking: what a signed identity changes about a message."""

from typing import NamedTuple

import msgspec

from normalizers.message import Address, MessageWarning, Proof, Requester

FIELD = "identity_token"
"""What a form or a JSON body calls it."""
LONGEST = 4096
"""Characters of a token."""


class VerifiedIdentity(msgspec.Struct, frozen=True, kw_only=True, tag="verified"):
    """What a good signature vouches for; `customer_id` or `email` is there."""

    customer_id: str | None = None
    email: str | None = None
    """In its canonical spelling."""
    name: str | None = None


class RefusedIdentity(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """A token that proves nothing, and so speaks against who sent it."""

    reason: str
    """One word: expired, signature, audience …"""


SignedIdentity = VerifiedIdentity | RefusedIdentity


class Asking(NamedTuple):
    """The part of a message that says who asks, and how far that is proven."""

    requester: Requester
    submitter: Requester | None
    proof: Proof
    evidence: tuple[str, ...]


def asking(typed: Requester, identity: SignedIdentity | None) -> Asking:
    """The proof covers what was signed alone: an address only typed never is the requester's beside it.

    Else whoever can sign in as anybody would get the tier of whomever they type. It stays with the submitter.
    """
    if identity is None:
        return Asking(typed, None, Proof.CLAIMED, ())
    if isinstance(identity, RefusedIdentity):
        return Asking(typed, None, Proof.SUSPECT, (f"jwt={identity.reason}",))
    given = (("customer_id", identity.customer_id), ("email", identity.email))
    signed = tuple(Address(kind, value) for kind, value in given if value)
    others = any(address not in signed for address in typed.addresses)
    return Asking(
        Requester(addresses=signed, name=identity.name or typed.name),
        typed if others else None,
        Proof.VERIFIED,
        ("jwt=pass",),
    )


def unread(token: str, identity: SignedIdentity | None) -> tuple[MessageWarning, ...]:
    """What to say of a token that nobody looked at."""
    if not token.strip() or identity is not None:
        return ()
    return (MessageWarning("identity_unread", "the inbox has no keys for identity tokens, or did not recognise this"),)
