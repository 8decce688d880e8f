"""What a core is handed, and what is kept of it until it is settled."""

import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import msgspec

Fields = dict[bytes, bytes]
UNREADABLE = "NoCloudEvent"
_NEVER_FINISHED = "ReaderDied"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket envelope for the core. It may come again after a crash: `id` says whether the core has it already."""

    id: str
    tier: str
    """The tier of the stream it was read from."""
    attempt: int
    """1 at the first handling, whoever did it."""
    envelope: dict[str, Any]
    """The CloudEvent; what was said is in its `data`."""
    event: bytes
    """The same as the JSON that stood on the stream, for a decoder of your own."""
    entry_id: str
    """Where it stands on its stream, for a log; `id` is what to remember."""


@dataclass(eq=False)
class Held:
    """An entry pending under our name. `starts` counts handlers begun on it, `counted` what Redis knows of that."""

    stream: str
    tier: str
    entry_id: str
    fields: Fields
    starts: int = 0
    counted: int = 1
    left_behind: bool = False
    """Another reader, or an earlier life of this one, had it and did not finish."""
    lost: bool = False
    """Somebody else has it now."""
    error: str = _NEVER_FINISHED
    """What to say of it should it be buried: type and place."""
    envelope: dict[str, Any] | None = field(init=False)

    def __post_init__(self) -> None:
        self.envelope = _envelope(self.event)

    @property
    def id(self) -> str:
        """The envelope's id, as far as there is one."""
        return _text(self.fields.get(b"id", b"")) or self.entry_id

    @property
    def event(self) -> bytes:
        """The event's JSON; empty where the field is missing."""
        return self.fields.get(b"event", b"")

    @property
    def conversation(self) -> str:
        """Entries of one conversation are handled one after the other."""
        head = self.envelope or {}
        return f"{head.get('source')}\n{head.get('subject', self.entry_id)}"

    def delivery(self) -> Delivery:
        """It as the core sees it; only where there is an envelope."""
        assert self.envelope is not None
        return Delivery(
            id=self.envelope["id"],
            tier=self.tier,
            attempt=self.starts,
            envelope=self.envelope,
            event=self.event,
            entry_id=self.entry_id,
        )

    def letter(self) -> list[bytes | str | int]:
        """The fields of its dead letter, names and values in turn. What came is kept byte for byte."""
        kept = self.event or msgspec.json.encode({_text(name): _text(value) for name, value in self.fields.items()})
        head = {name: self.fields.get(name.encode(), b"") for name in ("channel", "inbox")}
        return [
            *("id", self.id, "channel", head["channel"], "inbox", head["inbox"]),
            *("reason", "poison", "error", self.error, "payload", kept),
            *("received_at", self._received_at(), "attempts", max(self.starts, 1)),
        ]

    def _received_at(self) -> str:
        data = (self.envelope or {}).get("data")
        said = data.get("received_at") if isinstance(data, dict) else None
        if isinstance(said, str):
            return said
        published = datetime.fromtimestamp(int(self.entry_id.partition("-")[0]) / 1000, UTC)
        return published.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def place(error: BaseException) -> str:
    """Type and place of an error, never its words: they may quote the customer."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _envelope(event: bytes) -> dict[str, Any] | None:
    """The event decoded; None for what is no CloudEvent with an id."""
    try:
        decoded = msgspec.json.decode(event)
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(decoded, dict) and isinstance(decoded.get("id"), str) and decoded["id"]:
        return decoded
    return None


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
