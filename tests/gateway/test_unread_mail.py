"""A mail on disk that its normalizer cannot read: certain parts published, the whole buried, read again later."""

import os
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

import channels.email
from channels.api import Outcome
from gateway import envelope as wire
from gateway import parts
from gateway.explaining import explaining
from gateway.inboxes import Inboxes
from gateway.metrics import Metrics
from gateway.normalizing.pool import Limits, Normalizing
from gateway.queue.connection.deployment import deployment
from gateway.queue.dead_letter_box import DeadLetterBox
from gateway.queue.keys import partitions
from gateway.replaying import Verdict, replaying
from gateway.settings import load
from normalizers.email import MailPayload
from normalizers.message import Message

MAIL = (
    b"From: Minsu Kim <minsu@acme.example>\r\nSubject: Login page\r\nMessage-ID: <1@acme.example>\r\n"
    b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nIt is white.\r\n--B\r\n"
    b"Content-Type: application/pdf; name=a.pdf\r\n\r\n" + b"%PDF" * 50_000 + b"\r\n--B--\r\n"
)
CONFIG = """\
queue: {{url: "{url}"}}
spool: {{dir: "{folder}/spool"}}
objects: {{url: "file://{folder}/objects"}}
directory: [{{type: file, path: config/customers.csv}}]
channels:
  support: {{type: email, listen: "127.0.0.1:2525", recipients: [support@example.com]}}
"""


def aborts(payload: MailPayload) -> Sequence[Message]:
    os.abort()


def hangs(payload: MailPayload) -> Sequence[Message]:
    while True:
        time.sleep(1)


def eats(payload: MailPayload) -> Sequence[Message]:
    eaten = []
    while True:
        eaten.append(bytes(2**26))


def raises(payload: MailPayload) -> Sequence[Message]:
    raise KeyError(bytes(payload.content[:40]))


class House:
    def __init__(self, settings, publisher, queue):
        self.settings, self.publisher = settings, publisher
        self.box = DeadLetterBox(queue, partitions("tickets", 1))

    async def take(self, content: bytes, folder: Path, normalize=None):
        """One mail through the pipeline, its file gone afterwards, as its door would have it."""
        file = folder / "mail"
        file.write_bytes(content)
        payload = MailPayload(content=b"", file=str(file), recipients=("support@example.com",))
        objects = parts.objects(self.settings)
        prepared = parts.prepare_directory(self.settings)
        with pytest.MonkeyPatch.context() as patch:
            if normalize:
                patch.setattr(channels.email, "CHANNEL", replace(channels.email.CHANNEL, normalize=normalize))
            async with (
                parts.directory(self.settings, prepared, Metrics()) as directory,
                Normalizing(folder, Limits(timeout=1.0, memory=2**29)) as normalizing,
            ):
                inboxes = Inboxes(
                    self.settings,
                    directory=directory,
                    publisher=self.publisher,
                    objects=objects,
                    normalizing=normalizing,
                    metrics=Metrics(),
                )
                receipt = await inboxes.pipeline("support", self.settings.channels["support"])(payload)
        file.unlink()
        return receipt

    async def replay(self, *, dry_run=False):
        async with replaying(self.settings, self.settings.queue.url, self.box, dry_run=dry_run) as replayer:
            return [await replayer.replay(letter) async for letter in self.box.all()]

    async def letters(self):
        return [letter async for letter in self.box.all()]


@pytest.fixture
async def house(start, valkey_url, redis, tmp_path):
    @asynccontextmanager
    async def opened():
        file = tmp_path / "gateway.yaml"
        file.write_text(CONFIG.format(url=valkey_url, folder=tmp_path), encoding="utf-8")
        queue = deployment(valkey_url)
        async with start(valkey_url) as publisher:
            yield House(load(file, environ={}), publisher, queue)
        await queue.close()

    async with opened() as house:
        yield house


async def premium(redis):
    return [wire.decode(fields[b"event"]).data for _, fields in await redis.xrange("{tickets}:premium")]


@pytest.mark.parametrize(
    ("normalize", "error"),
    [(aborts, "Crashed"), (hangs, "Overrun"), (eats, "MemoryError at "), (raises, "KeyError at test_unread_mail.py:")],
)
async def test_a_mail_that_cannot_be_read_is_there_all_the_same(house, redis, tmp_path, normalize, error):
    receipt = await house.take(MAIL, tmp_path, normalize)
    assert receipt.outcome is Outcome.ACCEPTED
    (data,) = await premium(redis)
    assert [one.reference for one in receipt.references] == [data.reference]
    assert (data.subject, data.text, data.external_id) == ("Login page", "", "<1@acme.example>")
    assert data.requester.addresses[0].value == "minsu@acme.example"
    assert [warning.code for warning in data.warnings] == ["unread"]
    assert data.raw.sha256 == sha256(MAIL).hexdigest()
    assert Path(data.raw.uri.removeprefix("file://")).read_bytes() == MAIL
    (letter,) = await house.letters()
    assert (letter.reason, letter.place.startswith(error.split(" at ", maxsplit=1)[0])) == ("error", True)
    assert len(letter.payload) < 1000


async def test_its_letter_is_replayed_and_becomes_the_whole_mail(house, redis, tmp_path):
    await house.take(MAIL, tmp_path, aborts)
    (foreseen,) = await house.replay(dry_run=True)
    assert (foreseen.verdict, foreseen.why) == (Verdict.PUBLISHED, None)
    (replayed,) = await house.replay()
    assert (replayed.verdict, replayed.why) == (Verdict.PUBLISHED, None)
    little, whole = await premium(redis)
    assert replayed.references == (whole.reference,)
    assert (whole.text, whole.raw, whole.received_at) == ("It is white.", little.raw, little.received_at)
    assert (whole.external_id, whole.thread.key) == (little.external_id, little.thread.key)
    assert whole.attachments[0].size == 200_000
    assert await house.letters() == []


async def test_its_letter_is_explained(house, tmp_path):
    await house.take(MAIL, tmp_path, aborts)
    (letter,) = await house.letters()
    async with explaining(house.settings) as explainer:
        (explanation,) = await explainer.payload(letter.inbox, letter.payload, letter.received_at)
    assert (explanation.envelope.data.text, explanation.decision.value) == ("It is white.", "premium")


async def test_what_can_be_read_is_read(house, redis, tmp_path):
    assert (await house.take(MAIL, tmp_path)).outcome is Outcome.ACCEPTED
    (data,) = await premium(redis)
    assert (data.text, data.warnings) == ("It is white.", ())
    assert await house.letters() == []
