"""The one path, against a real server, with a toy channel."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from channels.api import Outcome
from gateway import envelope as wire
from gateway.directory.lookup import Customer
from gateway.events import InboxEvents
from gateway.identity import digest16, identify
from gateway.metrics import Metrics
from gateway.normalizing.pool import Limits, Normalizing
from gateway.objects import Objects
from gateway.pipeline import Pipeline
from gateway.queue.dead_letters import DeadLetters
from gateway.queue.publisher import Publisher
from gateway.queue.spool.spool import SpoolLimits
from gateway.sealing import Inbox
from gateway.tagging.tier import TierPolicy
from normalizers.message import Address, Proof, Related
from tests.gateway.known_customers import KnownCustomers
from tests.gateway.toy import OUTSIDE, TOY, Note
from tests.support import free_port

NOW = datetime(2026, 11, 22, 5, 0, 0, 123_456, tzinfo=UTC)
PROBED = b"{tickets}:probe"
"""What a publisher writes to know that it can."""
ROWS = [
    (Address("email", "minsu@acme.example"), Customer(customer_id="C-1", tier="premium", organization="Acme")),
    (
        Address("email", "jane@initech.example"),
        Customer(
            customer_id="C-2", tier="business", related=(Related(system="salesforce", type="Account", id="001A"),)
        ),
    ),
    (Address("email", "two@shared.example"), Customer(customer_id="C-3", tier="premium")),
    (Address("email", "two@shared.example"), Customer(customer_id="C-4", tier="premium")),
]


def build(
    publisher: Publisher,
    folder: Path,
    *,
    metrics: Metrics | None = None,
    objects: Objects | None = None,
    normalizing: Normalizing | None = None,
    **policy,
) -> Pipeline[Note]:
    minimum = {"premium": Proof.CLAIMED, "business": Proof.CLAIMED, **policy}
    return Pipeline(
        TOY,
        Inbox(
            name="notes",
            channel="toy",
            brand="example",
            dataschema="http://gateway.example/schemas/ticket-envelope-1.json",
            policy=TierPolicy(order=("premium", "business", "free"), default="free", minimum_proof=minimum),
        ),
        directory=KnownCustomers(ROWS, as_of=NOW),
        publisher=publisher,
        dead_letters=DeadLetters(publisher, keep_ms=60_000),
        objects=objects or Objects(folder / "objects"),
        normalizing=normalizing or Normalizing(folder),
        events=InboxEvents("toy", "notes", metrics or Metrics()),
        keep_ms=60_000,
        clock=lambda: NOW,
    )


@pytest.fixture
def intake(publisher, tmp_path):
    return build(publisher, tmp_path)


async def only(redis, stream: str) -> Any:
    ((_, fields),) = await redis.xrange(f"{{tickets}}:{stream}")
    return fields


async def event(redis, stream: str) -> wire.TicketEnvelope:
    return wire.decode((await only(redis, stream))[b"event"])


async def test_a_message_becomes_an_envelope_on_the_customers_tier_stream(intake, redis):
    receipt = await intake(Note())
    assert receipt.outcome is Outcome.ACCEPTED
    (ticket,) = receipt.references
    names = identify("notes:message:n-1.0")
    assert (ticket.id, ticket.reference, ticket.duplicate) == (names.id, names.reference, False)
    fields = await only(redis, "premium")
    assert json.loads(fields.pop(b"event")) == json.loads(
        Path("tests/gateway/cases/envelope.json").read_text(encoding="utf-8")
    )
    assert fields == {
        b"id": ticket.id.encode(),
        b"type": b"support.message.received.v1",
        b"channel": b"toy",
        b"inbox": b"notes",
        b"tier": b"premium",
    }


async def test_time_is_when_the_customer_said_it_where_that_is_known(intake, redis):
    said = datetime(2026, 11, 22, 13, 59, tzinfo=UTC)
    await intake(Note(sent_at=said))
    envelope = await event(redis, "premium")
    assert (envelope.time, envelope.data.sent_at) == (said, said)
    assert envelope.data.received_at == wire.utc_ms(NOW)


async def test_a_suspect_premium_claim_is_capped(intake, redis):
    await intake(Note(proof=Proof.SUSPECT))
    tier = (await event(redis, "free")).data.tier
    assert (tier.value, tier.claimed, tier.status) == ("free", "premium", "capped")


async def test_a_stricter_minimum_proof_caps_a_plain_claim(publisher, redis, tmp_path):
    await build(publisher, tmp_path, premium=Proof.VERIFIED)(Note())
    tier = (await event(redis, "free")).data.tier
    assert (tier.value, tier.claimed, tier.status) == ("free", "premium", "capped")


async def test_an_unproven_tier_carries_the_tag(intake, redis):
    await intake(Note())
    assert "tier_unproven" in (await event(redis, "premium")).data.tags


async def test_a_stranger_gets_the_default_tier(intake, redis):
    await intake(Note(who="stranger@elsewhere.example"))
    data = (await event(redis, "free")).data
    assert (data.tier.value, data.tier.status, data.requester.customer_id) == ("free", "default", None)


async def test_an_address_of_two_customers_is_never_a_guess(intake, redis):
    await intake(Note(who="two@shared.example"))
    data = (await event(redis, "free")).data
    assert data.tier.status == "default"
    assert [warning.code for warning in data.warnings] == ["customer_ambiguous"]


async def test_records_of_the_crm_travel_along(intake, redis):
    await intake(Note(who="jane@initech.example"))
    assert [related.id for related in (await event(redis, "business")).data.related] == ["001A"]


async def test_the_same_message_again_gets_the_same_reference(intake, redis):
    first = await intake(Note())
    again = await intake(Note(text="other words, same id"))
    assert again.references[0].duplicate
    assert again.references[0].reference == first.references[0].reference
    await only(redis, "premium")


async def test_the_same_key_with_other_content_is_a_conflict(intake, redis):
    await intake(Note(fingerprint="a"))
    receipt = await intake(Note(fingerprint="b"))
    assert receipt.outcome is Outcome.REJECTED
    assert [problem.code for problem in receipt.problems] == ["conflict"]
    await only(redis, "premium")


async def test_one_payload_may_be_several_messages_or_none(intake, redis):
    receipt = await intake(Note(parts=3))
    assert len(receipt.references) == 3
    assert await redis.xlen("{tickets}:premium") == 3
    nothing = await intake(Note(key="n-2", parts=0))
    assert (nothing.outcome, nothing.references) == (Outcome.ACCEPTED, ())


async def test_what_a_sender_can_mend_is_told_and_not_kept(intake, redis):
    receipt = await intake(Note(fault="incomplete"))
    assert receipt.outcome is Outcome.REJECTED
    assert [problem.pointer for problem in receipt.problems] == ["/text"]
    assert await redis.keys("*") == [PROBED]


async def test_a_malformed_payload_is_a_dead_letter_whole(intake, redis):
    note = Note(fault="malformed")
    receipt = await intake(note)
    assert receipt.outcome is Outcome.REJECTED
    letter = await only(redis, "dead")
    assert msgspec.json.decode(letter[b"payload"], type=Note) == note
    assert (letter[b"reason"], letter[b"channel"], letter[b"inbox"]) == (b"malformed", b"toy", b"notes")
    assert re.fullmatch(rb"Malformed at toy.py:\d+\npayload: It is not a note.", letter[b"error"])
    assert (letter[b"attempts"], letter[b"received_at"]) == (b"1", b"2026-11-22T05:00:00.123000Z")


async def test_the_same_broken_payload_again_is_one_dead_letter(intake, redis):
    for _ in range(3):
        await intake(Note(fault="malformed"))
    await only(redis, "dead")


@pytest.mark.parametrize("fault", ["bug", "surrogate"])
async def test_a_bug_of_ours_is_accepted_kept_and_told_to_the_operator_alone(intake, redis, fault):
    with capture_logs() as logs:
        receipt = await intake(Note(fault=fault))
    assert receipt.outcome is Outcome.ACCEPTED
    letter = await only(redis, "dead")
    assert letter[b"reason"] == b"error"
    assert b"Traceback" in letter[b"error"] or b"Error" in letter[b"error"]
    assert receipt.references[0].id == letter[b"id"].decode()
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("message.buried", "error")
    assert "결제" not in str(line)


async def test_a_large_dead_letter_is_kept_in_the_object_store(intake, redis):
    note = Note(fault="malformed", text="x" * 300_000)
    await intake(note)
    letter = await only(redis, "dead")
    assert b"payload" not in letter
    kept = Path(letter[b"payload_uri"].decode().removeprefix("file://"))
    assert msgspec.json.decode(kept.read_bytes(), type=Note) == note


async def test_files_and_the_original_are_in_the_object_store(intake, redis):
    await intake(Note(files=(b"%PDF-1", b"%PDF-2")))
    data = (await event(redis, "premium")).data
    assert [Path(str(file.uri).removeprefix("file://")).read_bytes() for file in data.attachments] == [
        b"%PDF-1",
        b"%PDF-2",
    ]
    assert [(file.name, file.size, file.status) for file in data.attachments] == [("영수증.pdf", 6, "stored")] * 2
    assert data.raw is not None
    assert Path(data.raw.uri.removeprefix("file://")).read_text(encoding="utf-8") == "결제 오류"


@pytest.fixture
async def normalizing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(OUTSIDE)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    async with Normalizing(scratch, Limits(timeout=1.0, memory=2**30)) as normalizing:
        yield normalizing
    assert not list(scratch.iterdir())


@pytest.fixture
def heavy(publisher, tmp_path, normalizing):
    """The intake, with a worker that is given a second."""
    return build(publisher, tmp_path, normalizing=normalizing)


async def test_heavy_payloads_take_the_same_path(heavy, intake, redis):
    assert (await heavy(Note(heavy=True))).outcome is Outcome.ACCEPTED
    assert (await heavy(Note(heavy=True, key="n-2", fault="malformed"))).outcome is Outcome.REJECTED
    assert (await heavy(Note(heavy=True, key="n-3", fault="incomplete"))).problems[0].pointer == "/text"
    envelope = await event(redis, "premium")
    assert (await intake(Note())).references[0].duplicate
    assert envelope.data.text == "결제 오류"


async def test_large_files_of_a_heavy_payload_are_stored_whole(heavy, redis):
    content, photo = bytes(range(256)) * 1024, b"\xff\xd8\xff" * 100_000
    assert (await heavy(Note(heavy=True, content=content, files=(b"%PDF", photo)))).outcome is Outcome.ACCEPTED
    kept = [Path(str(one.uri).removeprefix("file://")) for one in (await event(redis, "premium")).data.attachments]
    assert [path.read_bytes() for path in kept] == [b"%PDF", photo, content]


async def test_files_are_known_by_their_content_too(heavy, redis):
    program, page = b"\x7fELF" + bytes(100_000), b"%PDF-1.7" + bytes(100)
    await heavy(Note(heavy=True, files=(page, program)))
    data = (await event(redis, "premium")).data
    assert [one.sniffed_type for one in data.attachments] == ["application/pdf", "application/x-elf"]
    assert {one.media_type for one in data.attachments} == {"application/pdf"}
    assert [warning.code for warning in data.warnings] == ["attachment_poses"]


WORST = [("bug", "KeyError at toy.py:"), ("hang", "Overrun"), ("memory", "MemoryError at toy.py:"),
         ("abort", "Crashed"), ("exit", "Crashed")]  # fmt: skip


@pytest.mark.parametrize(("fault", "error"), WORST)
async def test_whatever_happens_what_is_certain_is_published_and_the_rest_buried(heavy, redis, fault, error):
    with capture_logs() as logs:
        receipt = await heavy(Note(heavy=True, fault=fault, content=b"the original"))
    data = (await event(redis, "premium")).data
    assert receipt.outcome is Outcome.ACCEPTED
    assert [one.reference for one in receipt.references] == [data.reference]
    assert (data.text, [warning.code for warning in data.warnings]) == ("", ["unread"])
    assert data.raw is not None
    assert Path(data.raw.uri.removeprefix("file://")).read_bytes() == b"the original"
    letter = await only(redis, "dead")
    assert (letter[b"reason"], letter[b"error"].decode().startswith(error)) == (b"error", True)
    assert [line["event"] for line in logs] == ["message.buried", "message.accepted"]
    assert (await heavy(Note(heavy=True, key="n-2"))).outcome is Outcome.ACCEPTED


async def test_the_same_unreadable_payload_again_is_a_duplicate(heavy, redis):
    first = await heavy(Note(heavy=True, fault="abort", content=b"the original"))
    again = await heavy(Note(heavy=True, fault="abort", content=b"the original"))
    assert (again.references[0].id, again.references[0].duplicate) == (first.references[0].id, True)
    await only(redis, "dead")


async def test_what_is_read_later_is_no_duplicate_of_what_was_certain(heavy, redis):
    await heavy(Note(heavy=True, fault="abort", content=b"the original"))
    receipt = await heavy.replay(Note(heavy=True, content=b"the original"), NOW)
    assert not receipt.references[0].duplicate
    assert await redis.xlen("{tickets}:premium") == 2


@pytest.mark.parametrize("fault", ["bug", "malformed"])
async def test_the_letter_of_a_payload_on_disk_names_where_its_original_is_kept(intake, redis, tmp_path, fault):
    file = tmp_path / "note"
    file.write_bytes(b"the original")
    await intake(Note(fault=fault, file=str(file)))
    file.unlink()
    note = msgspec.json.decode((await only(redis, "dead"))[b"payload"], type=Note)
    assert Path(str(note.file).removeprefix("file://")).read_bytes() == b"the original"


async def test_the_letter_of_a_large_payload_names_it_too(intake, redis):
    await intake(Note(fault="bug", content=b"x" * 100_000))
    note = msgspec.json.decode((await only(redis, "dead"))[b"payload"], type=Note)
    assert note.content == b""
    assert len(Path(str(note.file).removeprefix("file://")).read_bytes()) == 100_000


async def test_a_bug_in_what_is_certain_still_buries(intake, redis):
    receipt = await intake(Note(fault="bug", who="nobody", content=b"the original"))
    assert receipt.references[0].id.encode() == (await only(redis, "dead"))[b"id"]


async def test_a_full_scratch_disk_is_nobodys_fault(heavy, redis):
    receipt = await heavy(Note(heavy=True, fault="disk", content=b"the original"))
    assert (receipt.outcome, await redis.keys("*")) == (Outcome.DEFERRED, [PROBED])


async def test_unread_counts_one_message(publisher, tmp_path, redis):
    metrics = Metrics()
    await build(publisher, tmp_path, metrics=metrics)(Note(fault="bug", content=b"the original"))
    page = metrics.render().decode()
    assert 'gateway_messages_total{channel="toy",outcome="accepted"} 1.0' in page
    assert 'gateway_dead_letters_total{channel="toy",reason="error"} 1.0' in page


@pytest.mark.parametrize("fault", ["", "malformed", "bug"])
async def test_nowhere_to_write_is_deferred(start, tmp_path, fault):
    metrics = Metrics()
    full = SpoolLimits(max_bytes=0, min_free=0)
    async with start(f"redis://127.0.0.1:{free_port()}", limits=full) as nowhere:
        with capture_logs() as lines:
            receipt = await build(nowhere, tmp_path, metrics=metrics)(Note(fault=fault))
    assert (receipt.outcome, receipt.references) == (Outcome.DEFERRED, ())
    assert [line["reason"] for line in lines if line["event"] == "message.deferred"] == ["the spool is full"]
    assert b'gateway_messages_total{channel="toy",outcome="deferred"} 1.0' in metrics.render()


@pytest.mark.parametrize(("fault", "outcome"), [("", "ACCEPTED"), ("malformed", "REJECTED"), ("bug", "ACCEPTED")])
async def test_without_redis_the_spool_keeps_it(start, tmp_path, fault, outcome):
    async with start(f"redis://127.0.0.1:{free_port()}") as publisher:
        receipt = await build(publisher, tmp_path)(Note(fault=fault))
        assert receipt.outcome is Outcome[outcome]
        assert len(receipt.references) == 1
        assert publisher.spool.entries == 1


async def test_an_object_store_that_refuses_defers_before_anything_is_published(publisher, redis, tmp_path):
    objects = Objects(tmp_path / "objects")
    (tmp_path / "objects" / "attachments").write_text("in the way")
    receipt = await build(publisher, tmp_path, objects=objects)(Note(files=(b"%PDF",)))
    assert receipt.outcome is Outcome.DEFERRED
    assert await redis.keys("*") == [PROBED]


async def test_each_outcome_is_counted_and_logged_once(publisher, redis, tmp_path):
    metrics = Metrics()
    intake = build(publisher, tmp_path, metrics=metrics)
    with capture_logs() as logs:
        for note in (Note(), Note(), Note(fault="incomplete"), Note(fault="malformed"), Note(fault="bug")):
            await intake(note)
    assert [line["event"] for line in logs] == [
        "message.accepted", "message.accepted", "message.rejected", "message.buried", "message.buried",
    ]  # fmt: skip
    page = metrics.render().decode()
    for line in (
        'gateway_messages_total{channel="toy",outcome="accepted"} 3.0',
        'gateway_messages_total{channel="toy",outcome="rejected"} 2.0',
        'gateway_duplicates_total{channel="toy"} 1.0',
        'gateway_dead_letters_total{channel="toy",reason="malformed"} 1.0',
        'gateway_dead_letters_total{channel="toy",reason="error"} 1.0',
        'gateway_tickets_total{channel="toy",status="known",tier="premium"} 1.0',
        'gateway_unproven_total{channel="toy"} 1.0',
    ):
        assert line in page
    assert metrics.tally.take() == {
        "accepted|toy|premium|known": 1,
        "unproven|toy|premium": 1,
        "duplicate|toy": 1,
        "rejected|toy|incomplete": 1,
        "dead|toy|malformed": 1,
        "dead|toy|error": 1,
    }


async def test_nothing_of_the_customer_reaches_the_log(intake, redis):
    with capture_logs() as logs:
        for note in (Note(), Note(fault="incomplete"), Note(fault="malformed"), Note(fault="bug")):
            await intake(note)
    for word in ("minsu", "김민수", "결제", "n-1"):
        assert word not in str(logs)


async def test_nothing_to_ticket_is_counted_once_and_logged_once(publisher, redis, tmp_path):
    metrics = Metrics()
    with capture_logs() as logs:
        await build(publisher, tmp_path, metrics=metrics)(Note(parts=0))
    assert [line["event"] for line in logs] == ["message.unsupported"]
    assert b'gateway_refused_total{channel="toy",reason="unsupported"} 1.0' in metrics.render()


async def test_marks_are_the_bytes_of_the_id(intake, redis):
    await intake(Note(fingerprint="a"))
    key = "notes:message:n-1.0"
    assert set(await redis.zrange("{tickets}:seen", 0, -1)) == {identify(key).mark, digest16(f"{key}\na")}
