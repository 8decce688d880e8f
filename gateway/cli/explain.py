"""`explain`: why a message was, or would be, tagged as it is."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from channels.email.settings import EmailSettings
from channels.email.smtp.mailboxes import Mailboxes
from gateway.cli import Exit, fail
from gateway.cli.config import config_option, read
from gateway.cli.queue import TRIMMED, opened, unanswered
from gateway.queue.dead_letter_box import DeadLetterBox, KeptLetter
from gateway.queue.dead_letters import ENVELOPES
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from gateway.queue.reader import StreamEntry
from gateway.queue.reader import read as read_queue
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.explaining import Explainer, Explanation

_MOST_FOUND = 10
"""Entries of one reference: two tickets in a million share one, and a replayed letter stands twice."""
_TO = ("delivered-to", "x-original-to", "to", "cc")
"""Headers that may name the inbox a mail was for."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to explain: an envelope, or the payload of an inbox. `about` says where it is from."""

    about: str
    content: bytes
    inbox: str | None = None
    received_at: datetime | None = None


@click.command()
@click.argument("what", metavar="FILE_OR_ID")
@click.option("--inbox", help="Of a mail, or of a dead letter's payload: the inbox it came to.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document per message and line.")
@config_option
def command(what: str, inbox: str | None, as_json: bool, config: Path) -> None:
    """Say for one message why: who, which proof, which rules, which promise. Prints personal data.

    FILE is a mail, an envelope (`tail --json`) or a dead letter (`dead-letters show --payload --json`, or its payload
    alone with --inbox); ID is an id or a reference, on the streams or among the dead letters.
    """
    settings = read(config)
    file = Path(what)
    if file.is_file():
        found = [_in_file(settings, file.name, file.read_bytes(), inbox)]
    else:
        found = _asked(settings, what)
        if not found:
            fail(
                f"no file, no envelope and no dead letter is named {what}: `tail` and `dead-letters list` show them\n"
                f"({TRIMMED})"
            )
    asyncio.run(_told(settings, found, as_json=as_json))


async def _told(settings: Settings, found: Sequence[Found], *, as_json: bool) -> None:
    """What there is to say of each; exit 1 where one of them cannot be explained."""
    from gateway.explaining import Unexplained, explaining
    from gateway.explaining.story import story
    from gateway.logs import configure
    from gateway.parts import CannotStart, Misconfigured

    configure("error", settings.logs.format)
    failed = False
    try:
        async with explaining(settings) as explainer:
            for one in found:
                try:
                    explanations = await _messages(explainer, one)
                    if not explanations:
                        raise Unexplained("there is nothing to ticket in it")
                except Unexplained as why:
                    click.echo(f"{one.about}: {why}", err=True)
                    failed = True
                    continue
                for explanation in explanations:
                    stream = explainer.stream(explanation)
                    if as_json:
                        document = {"about": one.about, "stream": stream, **msgspec.to_builtins(explanation)}
                        click.echo(msgspec.json.encode(document).decode())
                    else:
                        click.echo("\n".join([one.about, *story(explanation, settings, stream), ""]))
    except CannotStart as error:
        fail(str(error), Exit.CONFIGURATION if isinstance(error, Misconfigured) else Exit.DEPENDENCY)
    if failed:
        raise SystemExit(int(Exit.FAILURE))


async def _messages(explainer: "Explainer", one: Found) -> list["Explanation"]:
    from gateway import envelope as wire
    from gateway.explaining import Unexplained

    if one.inbox is not None:
        return await explainer.payload(one.inbox, one.content, one.received_at or wire.utc_ms(datetime.now(UTC)))
    try:
        envelope = wire.decode(one.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unexplained(f"it is no ticket envelope of this version: {error}") from error
    return [await explainer.envelope(envelope)]


def _in_file(settings: Settings, name: str, content: bytes, inbox: str | None) -> Found:
    """JSON says by its keys what it is; everything else is a mail."""
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _mail(settings, name, content, inbox)
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fail(f"{name}: cannot be read as JSON: {error}")
    if "specversion" in document:
        return Found(about=f"the envelope in {name}", content=content)
    if "reason" in document and "inbox" in document:
        if document.get("payload") is None:
            fail(f"{name}: has no payload: `dead-letters show ID --payload --json` prints it", Exit.USAGE)
        payload = msgspec.json.encode(document["payload"])
        return _letter(f"the dead letter in {name}", document, payload, document.get("received_at"))
    if inbox is None:
        fail(f"{name}: say with --inbox which inbox this payload came to", Exit.USAGE)
    return Found(about=f"the payload in {name}", content=content, inbox=inbox)


def _letter(about: str, said: dict[str, Any], payload: bytes, received_at: object) -> Found:
    if said["reason"] in ENVELOPES:
        return Found(about=about, content=payload)
    at = msgspec.convert(received_at, datetime, strict=False) if received_at else None
    return Found(about=about, content=payload, inbox=str(said["inbox"]), received_at=at)


def _mail(settings: Settings, name: str, content: bytes, inbox: str | None) -> Found:
    """As SMTP would have brought it: for the addresses in its headers that the inbox takes, else for its first."""
    from normalizers.email import MailPayload

    takers = {key: own for key, own in settings.channels.items() if isinstance(own, EmailSettings)}
    if inbox is not None and inbox not in takers:
        fail(f"no inbox of type email is named {inbox}; there are: {', '.join(takers) or 'none'}", Exit.USAGE)
    head = BytesHeaderParser(policy=compat32).parsebytes(content)
    named = [address for _, address in getaddresses([str(v) for key in _TO for v in head.get_all(key, [])])]
    taken = {key: _taken(own, named) for key, own in takers.items()}
    chosen = inbox or next((key for key in taken if taken[key]), next(iter(takers), None))
    if chosen is None:
        fail(f"{name}: is taken for a mail, and the configuration has no inbox of type email", Exit.USAGE)
    to = taken[chosen] or (takers[chosen].sample_recipient,)
    payload = MailPayload(content=content, mail_from=str(head.get("Return-Path", "")), recipients=to)
    about = f"the mail in {name}, as if it came to {', '.join(to)} now"
    return Found(about=about, content=msgspec.json.encode(payload), inbox=chosen)


def _taken(inbox: EmailSettings, named: Sequence[str]) -> tuple[str, ...]:
    ours = map(Mailboxes(inbox.recipients).find, named)
    return tuple(dict.fromkeys(one for one in ours if isinstance(one, str)))


def _asked(settings: Settings, name: str) -> list[Found]:
    """What the queue has of an id or reference, or exit 4."""
    try:
        return asyncio.run(_on_queue(settings, name))
    except QueueUnavailable as error:
        fail(f"no file is named {name}, and {unanswered(settings, error)}", Exit.DEPENDENCY)


async def _on_queue(settings: Settings, name: str) -> list[Found]:
    keys = partitions(settings.queue.prefix, settings.queue.partitions)
    async with opened(settings) as queue:
        entries = read_queue(queue, keys, settings.tiers.order, most=_MOST_FOUND, wanted=lambda entry: _is(entry, name))
        found = [
            Found(
                about=f"entry {entry.entry_id} of the stream {entry.tier}",
                content=entry.fields.get("event", "").encode(),
            )
            async for entry in entries
        ]
        box = DeadLetterBox(queue, keys)
        letters = await box.find(name.upper()) or await box.find(name.lower())
        return found + [await _buried(settings, letter) for letter in letters]


class _Event(msgspec.Struct):
    class Data(msgspec.Struct):
        reference: str

    data: Data


def _is(entry: StreamEntry, name: str) -> bool:
    if entry.fields.get("id", "").lower() == name.lower():
        return True
    event = entry.fields.get("event", "")
    if name.upper() not in event:
        return False
    try:
        found = msgspec.json.decode(event, type=_Event)
    except msgspec.MsgspecError:
        return False
    return found.data.reference == name.upper()


async def _buried(settings: Settings, letter: KeptLetter) -> Found:
    about = f"dead letter {letter.id} ({letter.reason}{': ' if letter.place else ''}{letter.place})"
    payload = letter.payload
    if letter.payload_uri:
        from gateway.objects import Objects, ObjectsUnavailable

        try:
            payload = await Objects.from_url(settings.objects.url, settings.objects.access).get(letter.payload_uri)
        except ObjectsUnavailable as error:
            fail(f"{about}: the object store does not give its payload ({error})", Exit.DEPENDENCY)
    return _letter(about, {"reason": letter.reason, "inbox": letter.inbox}, payload, letter.received_at)
