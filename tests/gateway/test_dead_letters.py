"""Dead letters are looked at, and tried again through the pipeline they failed in."""

import base64
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from redis.exceptions import ResponseError

import channels.web_form
from channels.api import Outcome
from gateway import envelope as wire
from gateway import parts
from gateway.identity import identify, identity_of
from gateway.inboxes import Inboxes
from gateway.metrics import Metrics
from gateway.normalizing.pool import Normalizing
from gateway.objects import Objects
from gateway.queue.connection.deployment import deployment
from gateway.queue.dead_letter_box import DeadLetterBox
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from gateway.queue.unpublishable import burial_mark
from gateway.replaying import Verdict, replaying
from gateway.settings import load
from normalizers.message import Malformed, Problem
from normalizers.web_form import FormPayload
from tests.support import free_port

FORM = {"name": "김민수", "email": "minsu@acme.example", "message": "결제 오류"}
CONFIG = """\
queue: {{url: "{url}", partitions: {count}{queue}}}
objects: {{url: "file://{folder}/objects"}}
directory: [{{type: file, path: config/customers.csv}}]
channels:
  contact: {{type: web_form}}
"""


def payload(form=FORM, submission_id="s-1", keyed=False):
    return FormPayload(
        body=msgspec.json.encode(form), media_type="application/json", submission_id=submission_id, keyed=keyed
    )


def bug(payload):
    raise KeyError(payload.body.decode())


def breaks_the_rules(payload):
    raise Malformed(Problem("/message", "unreadable", "김민수 wrote nonsense."))


class House:
    """One configured gateway without doors."""

    def __init__(self, settings, publisher, queue, monkeypatch):
        self.settings, self._publisher, self._monkeypatch = settings, publisher, monkeypatch
        self.url = settings.queue.url
        self.box = DeadLetterBox(queue, partitions("tickets", settings.queue.partitions))

    async def take(self, payload, normalize=None):
        """What an adapter hands over, while the normalizer is `normalize`."""
        prepared = parts.prepare_directory(self.settings)
        objects = Objects.from_url(self.settings.objects.url)
        with self._monkeypatch.context() as patch:
            if normalize:
                patch.setattr(channels.web_form, "CHANNEL", replace(channels.web_form.CHANNEL, normalize=normalize))
            async with parts.directory(self.settings, prepared, Metrics()) as directory:
                inboxes = Inboxes(
                    self.settings,
                    directory=directory,
                    publisher=self._publisher,
                    objects=objects,
                    normalizing=Normalizing(Path(self.settings.spool.dir)),
                    metrics=Metrics(),
                )
                return await inboxes.pipeline("contact", self.settings.channels["contact"])(payload)

    async def replay(self, *, dry_run=False, normalize=None, settings=None):
        """Every letter again; what became of each."""
        with self._monkeypatch.context() as patch:
            if normalize:
                patch.setattr(channels.web_form, "CHANNEL", replace(channels.web_form.CHANNEL, normalize=normalize))
            async with replaying(settings or self.settings, self.url, self.box, dry_run=dry_run) as replayer:
                return [await replayer.replay(letter) async for letter in self.box.all()]

    async def letters(self):
        return [letter async for letter in self.box.all()]


@pytest.fixture
def house(start, valkey_url, redis, tmp_path, monkeypatch):
    @asynccontextmanager
    async def house(count=1, more="", queue=""):
        file = tmp_path / "gateway.yaml"
        text = CONFIG.format(url=valkey_url, count=count, folder=tmp_path, queue=queue)
        file.write_text(text + more, encoding="utf-8")
        queue = deployment(valkey_url)
        async with start(valkey_url, count=count) as publisher:
            yield House(load(file, environ={}), publisher, queue, monkeypatch)
        await queue.close()

    return house


async def events(redis):
    """Every envelope on any tier of any partition."""
    found = []
    for key in await redis.keys("{tickets*"):
        if key.rsplit(b":", 1)[1] in (b"premium", b"business", b"free"):
            found += [wire.decode(fields[b"event"]) for _, fields in await redis.xrange(key)]
    return found


@pytest.mark.parametrize("count", [1, 3])
async def test_what_a_mended_normalizer_understands_is_published_and_no_letter_any_more(house, redis, count):
    async with house(count) as ours:
        for n in range(6):
            assert (await ours.take(payload(submission_id=f"s-{n}"), bug)).outcome is Outcome.ACCEPTED
        done = await ours.replay()
        assert [one.verdict for one in done] == [Verdict.PUBLISHED] * 6
        assert await ours.box.count() == 0
    envelopes = await events(redis)
    assert {one.data.reference for one in envelopes} == {one.references[0] for one in done}
    assert {one.data.text for one in envelopes} == {"결제 오류"}


async def test_the_clock_of_the_promise_started_when_the_message_came_in(house, redis):
    async with house(
        more="sla: {calendars: {u: {timezone: UTC}}, policies: [{first_reply: 1h, calendar: u}]}\n"
    ) as ours:
        await ours.take(payload(), bug)
        (letter,) = await ours.letters()
        await redis.xdel("{tickets}:dead", letter.entry_id)
        fields = {"id": letter.id, "channel": "web_form", "inbox": "contact", "reason": "error", "error": "x"}
        more = {"payload": letter.payload, "received_at": "2026-11-01T08:00:00.123Z", "attempts": "1"}
        await redis.xadd("{tickets}:dead", {**fields, **more})
        await ours.replay()
    (envelope,) = await events(redis)
    assert envelope.data.received_at == datetime(2026, 11, 1, 8, 0, 0, 123_000, tzinfo=UTC)
    assert envelope.data.sla is not None
    assert envelope.data.sla.clock_start == envelope.data.received_at


async def test_what_fails_again_stays_with_its_id_one_attempt_more_and_the_new_error(house):
    async with house() as ours:
        await ours.take(payload(), bug)
        (before,) = await ours.letters()
        (done,) = await ours.replay(normalize=breaks_the_rules)
        (after,) = await ours.letters()
    assert done.verdict is Verdict.FAILED
    assert done.why == after.place
    assert after.place.startswith("Malformed at test_dead_letters.py:")
    assert "김민수 wrote nonsense." in after.error
    assert (after.id, after.payload, after.received_at) == (before.id, before.payload, before.received_at)
    assert (before.attempts, after.attempts) == (1, 2)


async def test_what_was_published_meanwhile_is_a_duplicate_and_gone(house, redis):
    async with house() as ours:
        await ours.take(payload(), bug)
        receipt = await ours.take(payload())
        (done,) = await ours.replay()
        assert done.verdict is Verdict.DUPLICATE
        assert done.references == (receipt.references[0].reference,)
        assert await ours.box.count() == 0
    assert len(await events(redis)) == 1


@pytest.mark.parametrize("count", [1, 3])
async def test_what_fails_again_after_its_letter_is_gone_is_a_letter_again(house, count):
    async with house(count) as ours:
        await ours.take(payload(), bug)
        (done,) = await ours.replay(normalize=lambda payload: [])
        assert done.verdict is Verdict.NOTHING
        assert await ours.box.count() == 0
        await ours.take(payload(), bug)
        assert await ours.box.count() == 1


@pytest.mark.parametrize(("queue", "days"), [("", 7), (", keep_dead: 2d", 2), (", dedupe_window: 1d", 1)])
async def test_the_mark_of_a_burial_does_not_outlive_its_letter(house, redis, queue, days):
    async with house(queue=queue) as ours:
        await ours.take(payload(), bug)
        (letter,) = await ours.letters()
    score = await redis.zscore("{tickets}:seen", identify(f"dead:contact:{letter.payload.decode()}").mark)
    assert score == letter.buried_at.timestamp() * 1000 + days * 86_400_000


@pytest.mark.parametrize("reason", ["error", "unpublishable", "poison"])
async def test_what_is_deleted_leaves_no_mark_but_that_of_a_published_message(house, redis, reason):
    async with house() as ours:
        if reason == "error":
            await ours.take(payload(), bug)
        else:
            await gave_up(redis, ours, reason, fingerprint="ab")
            (letter,) = await ours.letters()
            buried = burial_mark(identity_of(letter.id).mark, "ab")
            if reason == "unpublishable":
                await redis.zadd("{tickets}:seen", {buried: 9e12})
        (letter,) = await ours.letters()
        await ours.box.remove(letter)
        assert await ours.letters() == []
    marks = await redis.zrange("{tickets}:seen", 0, -1)
    assert marks == ([] if reason == "error" else [identity_of(letter.id).mark])


async def test_other_content_under_the_same_key_is_said_and_kept(house, redis):
    async with house() as ours:
        await ours.take(payload(keyed=True), bug)
        await ours.take(payload({**FORM, "message": "something else"}, keyed=True))
        for dry_run in (True, False):
            (done,) = await ours.replay(dry_run=dry_run)
            assert (done.verdict, done.why) == (
                Verdict.FAILED,
                "the same idempotency key was used for other content since (conflict)",
            )
        (letter,) = await ours.letters()
    assert letter.attempts == 1
    assert len(await events(redis)) == 1


async def test_a_dry_run_says_the_same_and_changes_nothing(house, redis, tmp_path):
    async with house() as ours:
        await ours.take(payload(), bug)
        await ours.take(payload(submission_id="s-2"), bug)
        await ours.take(payload(submission_id="s-2"))
        before = {key: await redis.dump(key) for key in await redis.keys("*")}
        stored = sorted(tmp_path.rglob("objects/**/*"))
        dry = await ours.replay(dry_run=True)
        failing = await ours.replay(dry_run=True, normalize=bug)
        assert {key: await redis.dump(key) for key in await redis.keys("*")} == before
        assert sorted(tmp_path.rglob("objects/**/*")) == stored
        assert [one.verdict for one in failing] == [Verdict.FAILED] * 2
        assert dry == await ours.replay()
    assert [one.verdict for one in dry] == [Verdict.PUBLISHED, Verdict.DUPLICATE]


async def test_a_large_payload_comes_back_from_the_object_store(house, redis):
    text = "가" * 60_000
    async with house() as ours:
        await ours.take(payload({**FORM, "message": text}), bug)
        (letter,) = await ours.letters()
        assert (letter.payload, letter.payload_uri[:7]) == (b"", "file://")
        (done,) = await ours.replay()
    assert done.verdict is Verdict.PUBLISHED
    (envelope,) = await events(redis)
    assert envelope.data.text == text


async def test_an_object_store_without_the_payload_is_no_attempt(house, redis, tmp_path):
    async with house() as ours:
        await ours.take(payload({**FORM, "message": "가" * 60_000}), bug)
        for file in tmp_path.rglob("objects/payloads/*/*"):
            file.unlink()
        (done,) = await ours.replay()
        (letter,) = await ours.letters()
    assert done.why is not None
    assert "object store" in done.why
    assert letter.attempts == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"inbox": "closed"}, "there is no inbox named 'closed' any more"),
        ({"channel": "email"}, "the inbox 'contact' was of type 'email', and is of type 'web_form' now"),
        ({"payload": '{"older": 1}'}, "its payload is not one this version of the channel 'web_form' can read"),
        ({"payload": b"\xff"}, "its payload is not one this version"),
        ({"reason": "poison"}, "its payload is no ticket envelope"),
    ],
)
async def test_what_cannot_be_tried_is_said_in_words_and_is_no_attempt(house, redis, fields, says):
    whole = {"id": "x", "channel": "web_form", "inbox": "contact", "reason": "error", "error": "e", "payload": "{}"}
    await redis.xadd("{tickets}:dead", {**whole, "received_at": "", "attempts": "7", **fields})
    async with house() as ours:
        (done,) = await ours.replay()
        (letter,) = await ours.letters()
    assert done.verdict is Verdict.FAILED
    assert says in (done.why or "")
    assert letter.attempts == 7


async def gave_up(redis, ours, reason, **more):
    """Publish one message and bury its envelope as a consumer, or the drain of the spool, does."""
    await ours.take(payload())
    ((entry_id, fields),) = await redis.xrange("{tickets}:premium")
    letter = {
        "id": fields[b"id"],
        "channel": "web_form",
        "inbox": "contact",
        "reason": reason,
        "error": "E at core.py:1",
    }
    letter |= {"payload": fields[b"event"], "received_at": "2026-11-01T08:00:00Z", "attempts": "5", **more}
    await redis.xadd("{tickets}:dead", letter)
    await redis.xdel("{tickets}:premium", entry_id)
    return fields


async def test_poison_is_published_again_with_its_id_though_its_mark_is_there(house, redis):
    async with house() as ours:
        before = await gave_up(redis, ours, "poison")
        assert [one.verdict for one in await ours.replay(dry_run=True)] == [Verdict.PUBLISHED]
        (done,) = await ours.replay()
        assert await ours.box.count() == 0
    assert done.verdict is Verdict.PUBLISHED
    ((_, again),) = await redis.xrange("{tickets}:premium")
    assert again == before


async def test_poison_of_two_consumer_groups_is_one_entry(house, redis):
    async with house() as ours:
        await gave_up(redis, ours, "poison")
        ((_, twin),) = await redis.xrange("{tickets}:dead")
        await redis.xadd("{tickets}:dead", twin)
        done = await ours.replay()
        assert await ours.box.count() == 0
    assert [one.verdict for one in done] == [Verdict.PUBLISHED, Verdict.DUPLICATE]
    assert await redis.xlen("{tickets}:premium") == 1


async def test_the_second_letter_of_an_envelope_is_kept_while_the_first_cannot_be_published(house, redis, monkeypatch):
    async with house() as ours:
        await gave_up(redis, ours, "poison")
        ((_, fields),) = await redis.xrange("{tickets}:dead")
        await redis.xadd("{tickets}:dead", fields)
        first, _ = await ours.letters()
        again = DeadLetterBox.again

        async def refused_once(self, letter, entry):
            if letter == first:
                raise ResponseError("ERR refused alone")
            return await again(self, letter, entry)

        monkeypatch.setattr(DeadLetterBox, "again", refused_once)
        assert [one.verdict for one in await ours.replay()] == [Verdict.FAILED, Verdict.PUBLISHED]
        assert [letter.attempts for letter in await ours.letters()] == [first.attempts + 1]
    assert len(await events(redis)) == 1


async def test_what_a_server_refused_is_published_once_and_its_repeat_is_a_duplicate(house, redis):
    async with house() as ours:
        await gave_up(redis, ours, "unpublishable")
        await redis.delete("{tickets}:seen")  # it never was on a stream
        (done,) = await ours.replay()
        assert done.verdict is Verdict.PUBLISHED
        assert (await ours.take(payload())).references[0].duplicate
    assert await redis.xlen("{tickets}:premium") == 1


async def test_what_a_server_refused_and_its_sender_repeated_is_a_duplicate(house, redis):
    async with house() as ours:
        await gave_up(redis, ours, "unpublishable")
        (done,) = await ours.replay()
        assert await ours.box.count() == 0
    assert done.verdict is Verdict.DUPLICATE
    assert await redis.xlen("{tickets}:premium") == 0


async def test_the_fingerprint_of_a_refused_entry_keeps_its_repeat_from_being_a_conflict(house, redis):
    mark = b"0123456789abcdef"
    async with house() as ours:
        await gave_up(redis, ours, "unpublishable", fingerprint=mark.hex())
        await redis.delete("{tickets}:seen")
        await ours.replay()
    assert await redis.zscore("{tickets}:seen", mark) is not None


async def test_a_letter_is_kept_where_its_stream_takes_nothing(house, redis):
    async with house() as ours:
        await gave_up(redis, ours, "poison")
        await redis.delete("{tickets}:premium")
        await redis.set("{tickets}:premium", "not a stream")
        (done,) = await ours.replay()
        (letter,) = await ours.letters()
    assert done.verdict is Verdict.FAILED
    assert letter.place.startswith("ResponseError at ")
    assert letter.attempts == 6


async def test_a_letter_that_somebody_else_replayed_is_not_published_twice(house, redis):
    async with house() as ours:
        await gave_up(redis, ours, "poison")
        (letter,) = await ours.letters()
        for _ in range(2):
            async with replaying(ours.settings, ours.url, ours.box, dry_run=False) as replayer:
                await replayer.replay(letter)
    assert await redis.xlen("{tickets}:premium") == 1


async def test_letters_are_found_by_id_and_by_reference(house):
    async with house(3) as ours:
        for n in range(5):
            await ours.take(payload(submission_id=f"s-{n}"), bug)
        for letter in await ours.letters():
            assert await ours.box.find(letter.id) == [letter]
            assert await ours.box.find(letter.reference) == [letter]
        assert await ours.box.find("T-0000-0000") == []


async def test_the_newest_come_first_and_pages_are_whole(house, redis):
    for n in range(1, 131):
        await redis.xadd("{tickets:0}:dead" if n % 2 else "{tickets:1}:dead", {"id": str(n)}, id=f"{n}-0")
    async with house(2) as ours:
        assert [letter.id for letter in await ours.box.newest(3)] == ["130", "129", "128"]
        assert [letter.id for letter in await ours.box.newest(130)] == [str(n) for n in range(130, 0, -1)]
        assert len(await ours.letters()) == 130


@pytest.mark.parametrize(
    ("error", "place"),
    [
        ("KeyError at web_form.py:12\nTraceback …", "KeyError at web_form.py:12"),
        ("ResponseError", "ResponseError"),
        ("payload: 김민수 wrote nonsense.", ""),
        ("minsu@acme.example", ""),
        ("Traceback (most recent call last):\n  File …", ""),
        ("", ""),
    ],
)
async def test_only_a_first_line_that_is_type_and_place_is_fit_for_any_eyes(house, redis, error, place):
    await redis.xadd("{tickets}:dead", {"id": "x", "error": error})
    async with house() as ours:
        (letter,) = await ours.letters()
    assert letter.place == place


async def test_a_queue_that_is_away_is_said(house):
    queue = deployment(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(QueueUnavailable):
        await DeadLetterBox(queue, partitions("tickets", 1)).count()
    await queue.close()


async def test_the_payload_is_the_channels_own_whole(house):
    async with house() as ours:
        await ours.take(payload(), bug)
        (letter,) = await ours.letters()
    assert base64.b64decode(msgspec.json.decode(letter.payload)["body"]) == msgspec.json.encode(FORM)
    assert letter.id == identify(f"dead:contact:{letter.payload.decode()}").id
