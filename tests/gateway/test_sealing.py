"""What a message becomes, where the golden envelope does not show it."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.directory.lookup import UNKNOWN
from gateway.sealing import Inbox, idempotency_key, seal
from gateway.tagging.sla import Promise
from gateway.tagging.tier import TierPolicy
from normalizers.message import Kind, Message, Requester, Thread

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
INBOX = Inbox(
    name="x",
    channel="twitter",
    brand=None,
    dataschema="http://gateway.example/schemas/ticket-envelope-1.json",
    policy=TierPolicy(order=("free",), default="free", minimum_proof={}),
    promises=(Promise(name="all", calendar="always", first_reply=timedelta(hours=1)),),
)


def message(kind: Kind, *, update: bool = False) -> Message:
    return Message(
        medium="post", external_id="6", requester=Requester(), thread=Thread(key="6"), kind=kind, update=update
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_only_what_somebody_waits_for_has_a_clock(kind):
    data = seal(message(kind), INBOX, UNKNOWN, AT, (), None).envelope.data
    assert (data.sla is not None) == (kind in {Kind.MESSAGE, Kind.CALLBACK, Kind.CALL})


def test_a_later_part_of_a_call_is_an_update_and_starts_no_clock():
    envelope = seal(message(Kind.CALL, update=True), INBOX, UNKNOWN, AT, (), None).envelope
    assert (envelope.type, envelope.data.sla) == ("support.call.updated.v1", None)


def test_a_post_announced_with_and_without_its_history_is_one():
    assert idempotency_key("x", message(Kind.EDIT)) == idempotency_key("x", message(Kind.MESSAGE))
    assert idempotency_key("x", message(Kind.DELETE)) != idempotency_key("x", message(Kind.MESSAGE))
