"""`dead-letters`: what could not be published, and again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway.cli import Exit, fail
from gateway.cli.config import config_option, queue_url, read
from gateway.cli.queue import opened, unanswered
from gateway.queue.dead_letter_box import DeadLetterBox, KeptLetter
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from gateway.settings import Settings

T = TypeVar("T")
_SHOWN_WITH_PAYLOAD = "(may quote the customer: --payload shows it)"

json_option = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document per line.")


@click.group()
def command() -> None:
    """What could not be published: look at it, and try it again once the cause is mended."""


@command.command("list")
@click.option(
    "-n", "most", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many, the newest."
)
@json_option
@config_option
def list_letters(most: int, as_json: bool, config: Path) -> None:
    """Those that failed last, newest first. Shows nothing a customer wrote."""
    settings = read(config)

    async def newest() -> tuple[list[KeptLetter], int]:
        async with _box(settings) as box:
            return await box.newest(most), await box.count()

    letters, count = _asked(settings, newest())
    for letter in letters:
        click.echo(_json(_about(letter)) if as_json else _line(letter))
    if not as_json and not letters:
        click.echo("no dead letters")
    elif not as_json and count > len(letters):
        click.echo(f"{count - len(letters)} older ones: -n shows more", err=True)


@command.command()
@click.argument("id")
@click.option("--payload", "with_payload", is_flag=True, help="The payload and the whole error: personal data.")
@json_option
@config_option
def show(id: str, with_payload: bool, as_json: bool, config: Path) -> None:
    """One letter, by its id or reference; without --payload nothing a customer wrote."""
    settings = read(config)

    async def find() -> list[tuple[KeptLetter, bytes]]:
        async with _box(settings) as box:
            return [(one, await _payload(settings, one) if with_payload else b"") for one in await box.find(id)]

    found = _asked(settings, find())
    if not found:
        _nowhere([id])
    for letter, payload in found:
        about = _about(letter)
        if with_payload:
            about |= {"error": letter.error, "payload": _readable(payload)}
        if as_json:
            click.echo(_json(about))
            continue
        for name, value in about.items():
            if value not in (None, ""):
                click.echo(f"{name:<14} {value if isinstance(value, str) else _json(value)}")


@command.command()
@click.argument("ids", nargs=-1, metavar="[ID]…")
@click.option("--all", "every", is_flag=True, help="All that are there now.")
@click.option("--dry-run", is_flag=True, help="Say what would become of them; change nothing.")
@json_option
@config_option
def replay(ids: tuple[str, ...], every: bool, dry_run: bool, as_json: bool, config: Path) -> None:
    """Try letters again, by id or reference: what is published then is a letter no more.

    Exit 1 where one failed again; it stays, with one attempt more.
    """
    if bool(ids) == every:
        fail("name the letters, or say --all", Exit.USAGE)
    settings = read(config)
    failed, missing = _asked(settings, _replay(settings, ids, dry_run=dry_run, as_json=as_json))
    if missing:
        _nowhere(missing)
    if failed:
        raise SystemExit(int(Exit.FAILURE))


@command.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@json_option
@config_option
def delete(ids: tuple[str, ...], as_json: bool, config: Path) -> None:
    """Take letters away for good, by id or reference; should the same payload fail again, it is a letter again."""
    settings = read(config)

    async def take_away() -> list[str]:
        missing = []
        async with _box(settings) as box:
            for id in dict.fromkeys(ids):
                letters = await box.find(id)
                missing += [] if letters else [id]
                for letter in letters:
                    await box.remove(letter)
                    about = {"id": letter.id, "reference": letter.reference, "verdict": "deleted"}
                    click.echo(_json(about) if as_json else f"{letter.id}  deleted")
        return missing

    if missing := _asked(settings, take_away()):
        _nowhere(missing)


async def _replay(settings: Settings, ids: Sequence[str], *, dry_run: bool, as_json: bool) -> tuple[int, list[str]]:
    """How many failed, and which of the ids name no letter."""
    from gateway.logs import configure
    from gateway.parts import CannotStart, Misconfigured
    from gateway.replaying import Replayer, Verdict, replaying

    configure("warning", settings.logs.format)  # each letter has its line here already
    failed, missing = 0, []

    async def one(replayer: Replayer, letter: KeptLetter) -> bool:
        done = await replayer.replay(letter)
        click.echo(_json(msgspec.to_builtins(done)) if as_json else _outcome(done, dry_run))
        return done.verdict is Verdict.FAILED

    try:
        async with _box(settings) as box, replaying(settings, queue_url(settings), box, dry_run=dry_run) as replayer:
            if not ids:
                async for letter in box.all():
                    failed += await one(replayer, letter)
            for id in dict.fromkeys(ids):
                letters = await box.find(id)
                missing += [] if letters else [id]
                for letter in letters:
                    failed += await one(replayer, letter)
    except CannotStart as error:
        fail(str(error), Exit.CONFIGURATION if isinstance(error, Misconfigured) else Exit.DEPENDENCY)
    return failed, missing


def _outcome(done: Any, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    tickets = ", ".join(done.references)
    words = {
        "published": f"{would}published: {tickets}",
        "duplicate": f"{'is ' if dry_run else ''}published already: {tickets}",
        "nothing": f"{would}gone: there is nothing to ticket in it",
        "failed": f"{'would fail' if dry_run else 'failed'}: {done.why}",
    }
    return f"{done.id}  {words[done.verdict]}"


@asynccontextmanager
async def _box(settings: Settings) -> AsyncIterator[DeadLetterBox]:
    async with opened(settings) as queue:
        yield DeadLetterBox(queue, partitions(settings.queue.prefix, settings.queue.partitions))


def _asked(settings: Settings, question: Any) -> Any:
    """What the queue answers, or exit 4."""
    try:
        return asyncio.run(question)
    except QueueUnavailable as error:
        fail(unanswered(settings, error), Exit.DEPENDENCY)


def _nowhere(ids: Sequence[str]) -> None:
    fail(f"no dead letter named {', '.join(ids)}: `dead-letters list` shows them", Exit.FAILURE)


async def _payload(settings: Settings, letter: KeptLetter) -> bytes:
    if not letter.payload_uri:
        return letter.payload
    from gateway.objects import Objects, ObjectsUnavailable

    try:
        return await Objects.from_url(settings.objects.url, settings.objects.access).get(letter.payload_uri)
    except ObjectsUnavailable as error:
        fail(f"the object store does not give the payload ({error}): {letter.payload_uri}", Exit.DEPENDENCY)


def _readable(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return payload.decode(errors="replace")


def _about(letter: KeptLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "reference": letter.reference,
        "channel": letter.channel,
        "inbox": letter.inbox,
        "reason": letter.reason,
        "error": letter.place or (_SHOWN_WITH_PAYLOAD if letter.error else ""),
        "attempts": letter.attempts,
        "received_at": _time(letter.received_at),
        "failed_at": _time(letter.buried_at),
        "payload_uri": letter.payload_uri or None,
        "payload_bytes": len(letter.payload) or None,
    }


def _line(letter: KeptLetter) -> str:
    times = f"{letter.attempts}×"
    head = f"{letter.id}  {letter.buried_at:%Y-%m-%d %H:%M:%S}  {letter.inbox:<12} {letter.reason:<13} {times:>4}"
    return f"{head}  {letter.place or _SHOWN_WITH_PAYLOAD}"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
