"""`python -m tests.fuzz.mail --minutes 10`: broken mails by the thousand, and what has to hold for each of them.

Whatever breaks a promise is kept in `--keep`, once per place, so that it can be made a test.
`python -m tests.fuzz.mail FOLDER` reads the mails of a folder instead, as they are.
"""

import argparse
import random
import sys
import time
import traceback
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from normalizers.email import MailPayload, normalize, unread
from normalizers.message import Malformed, Message
from tests.fuzz.mutations import mutated

CASES = Path(__file__).parent.parent / "normalizers" / "cases" / "email"
RECIPIENT = "support@example.com"
KIB = 1024
_CONTROLS = frozenset(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))
_IDS = frozenset({"external_id", "identity", "thread"})
"""Compared with what other mails say, to the byte."""
_MARKUP = frozenset({"html"})
"""NFC makes another sign of a bracket and the mark behind it."""


def seeds() -> list[bytes]:
    """The golden cases."""
    return [path.read_bytes() for path in sorted(CASES.glob("*.in.eml"))]


def check(content: bytes) -> None:
    """Raises AssertionError, or whatever the normalizer raises, where a promise is broken."""
    payload = MailPayload(content=content, recipients=(RECIPIENT,), mail_from="bounce@acme.example")
    (little,) = unread(payload, "0" * 64)
    assert little.identity
    verify(little)
    try:
        messages = normalize(payload)
    except Malformed:
        return
    assert len(messages) == 1
    verify(messages[0])
    assert plain(messages[0]) == plain(normalize(payload)[0]), "not the same twice"


def verify(message: Message) -> None:
    """What holds for every message of a mail."""
    msgspec.json.encode(plain(message)).decode("utf-8")
    for where, text in strings(plain(message), ""):
        field = where.partition(".")[0].partition("[")[0]
        free = field in _IDS | _MARKUP or where.endswith((".inline_id", ".original_message_id"))
        assert free or unicodedata.is_normalized("NFC", text), f"{field} is not NFC"
        assert not set(text) & _CONTROLS, f"{field} has controls"
    assert len(message.text.encode()) <= 256 * KIB
    assert len((message.text_full or "").encode()) <= 1024 * KIB
    assert len((message.html or "").encode()) <= 2048 * KIB
    assert len(message.subject or "") <= 998
    assert len(message.thread.references) <= 100
    assert len(message.requester.addresses) <= 100
    assert len(message.attachments) <= 1000
    kept = [one for one in message.attachments if one.content is not None or one.pieces is not None]
    assert len(kept) <= 100
    for one in message.attachments:
        assert one in kept or one.omitted_reason, "dropped without a reason"
        assert one.name, "no name"
        assert not set(one.name) & set("/\\"), "a name with a path"


def plain(message: Message) -> Message:
    """With nothing in it that has to be read first."""
    files = tuple(
        msgspec.structs.replace(one, pieces=None, content=b"".join(one.pieces)) if one.pieces is not None else one
        for one in message.attachments
    )
    return msgspec.structs.replace(message, attachments=files)


def strings(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text in a message, and its place."""
    match value:
        case str():
            yield where, value
        case msgspec.Struct():
            for name in value.__struct_fields__:
                yield from strings(getattr(value, name), f"{where}.{name}" if where else name)
        case tuple() | list():
            for number, item in enumerate(value):
                yield from strings(item, f"{where}[{number}]")


class Finds:
    """What breaks a promise, once per place."""

    def __init__(self, keep: Path) -> None:
        self._keep, self.known, self._slowest = keep, set[str](), 0.2

    def try_out(self, content: bytes, name: str) -> None:
        begun = time.process_time()
        try:
            check(content)
        except Exception as broken:  # the very thing that is looked for
            frames = traceback.extract_tb(broken.__traceback__)
            place = f"{type(broken).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}: {broken}"[:160]
            if place not in self.known:
                self.known.add(place)
                self._tell(content, name, place)
        if (took := time.process_time() - begun) > self._slowest:
            self._slowest = took
            self._tell(content, f"{name}-slow", f"{took:.2f} s for {len(content)} bytes")

    def _tell(self, content: bytes, name: str, what: str) -> None:
        self._keep.mkdir(parents=True, exist_ok=True)
        (self._keep / f"{name}.eml").write_bytes(content)
        sys.stdout.write(f"{name}: {what}\n")


def main() -> int:
    """The exit status says whether a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="mails to read as they are, in place of broken ones")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="the same mails again")
    parser.add_argument("--keep", type=Path, default=Path("var/fuzz"))
    given = parser.parse_args()
    finds, mails = Finds(given.keep), 0
    if given.folder:
        paths = sorted(path for path in given.folder.rglob("*") if path.is_file())
        for path in paths:
            finds.try_out(path.read_bytes(), path.stem)
        sys.stdout.write(f"{len(paths)} mails, {len(finds.known)} kinds of broken promises\n")
        return 1 if finds.known else 0
    seed = given.seed if given.seed is not None else random.randrange(2**32)
    source, originals, until = random.Random(seed), seeds(), time.monotonic() + 60 * given.minutes
    while time.monotonic() < until:
        finds.try_out(mutated(originals, source), f"{seed}-{mails}")
        mails += 1
    sys.stdout.write(f"seed {seed}: {mails} mails, {len(finds.known)} kinds of broken promises\n")
    return 1 if finds.known else 0


if __name__ == "__main__":
    raise SystemExit(main())
