"""A channel that does what its payload says, and can be found by a worker: `outside` is as pip would have left it."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from channels.api import Channel, ChannelSettings, Raw
from normalizers.message import (
    Address,
    Attachment,
    Incomplete,
    Malformed,
    Message,
    MessageWarning,
    Pieces,
    Problem,
    Proof,
    Requester,
    Thread,
)

OUTSIDE = Path(__file__).parent / "outside"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    key: str = "n-1"
    who: str = "minsu@acme.example"
    text: str = "결제 오류"
    proof: Proof = Proof.CLAIMED
    fingerprint: str | None = None
    fault: str = ""
    parts: int = 1
    files: tuple[bytes, ...] = ()
    heavy: bool = False
    sent_at: datetime | None = None
    content: bytes = b""
    """An original: it comes back as a file in small pieces."""
    file: str | None = None


class Cut(Pieces):
    """A content a few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._content), 1000):
            yield self._content[at : at + 1000]


def normalize(note: Note) -> Sequence[Message]:
    match note.fault:
        case "incomplete":
            raise Incomplete(Problem("/text", "required", "Write something."))
        case "malformed":
            raise Malformed(Problem("", "invalid_note", "It is not a note."))
        case "bug":
            raise KeyError(note.text)
        case "surrogate":
            return [message(note, 0, "\ud800")]
        case "hang":
            time.sleep(3600)
        case "memory":
            bytearray(2**40)
        case "abort":
            os.abort()
        case "exit":
            os._exit(0)
        case "disk":
            raise OSError(28, "No space left on device")
    return [message(note, n, note.text) for n in range(note.parts)]


def message(note: Note, n: int, text: str) -> Message:
    files = [Attachment(name="영수증.pdf", media_type="application/pdf", content=content) for content in note.files]
    if note.content:
        files.append(Attachment(name="원본.bin", media_type="application/octet-stream", pieces=Cut(note.content)))
    return Message(
        medium="note",
        external_id=f"{note.key}.{n}",
        requester=Requester(addresses=(Address("email", note.who),), name="김민수"),
        thread=Thread(key=note.key),
        proof=note.proof,
        fingerprint=note.fingerprint,
        text=text,
        sent_at=note.sent_at,
        attachments=tuple(files),
        warnings=(MessageWarning("cut", "something"),) if note.parts > 1 else (),
    )


def raw(note: Note) -> Raw | None:
    if note.file:
        return Raw(content=Path(note.file), media_type="application/octet-stream")
    if note.content:
        return Raw(content=note.content, media_type="application/octet-stream")
    return Raw(content=note.text.encode(), media_type="text/plain") if note.files else None


@contextmanager
def opened(note: Note) -> Iterator[Note]:
    yield msgspec.structs.replace(note, content=Path(note.file).read_bytes()) if note.file else note


def unread(note: Note, digest: str) -> Sequence[Message]:
    """Only where there is an original, and only of those who are known by name."""
    if not digest:
        return ()
    if note.who == "nobody":
        raise ValueError("the same bug once more")
    thread = Thread(key=note.key)
    requester = Requester(addresses=(Address("email", note.who),))
    warning = MessageWarning("unread", "it could not be read")
    return (
        Message(
            medium="note",
            external_id=note.key,
            identity=f"unread {digest}",
            requester=requester,
            thread=thread,
            proof=Proof.CLAIMED,
            warnings=(warning,),
        ),
    )


TOY: Channel[ChannelSettings, Note] = Channel(
    name="toy",
    settings=ChannelSettings,
    payload=Note,
    normalize=normalize,
    adapter=None,  # type: ignore[arg-type]
    simulate=None,  # type: ignore[arg-type]
    raw=raw,
    heavy=lambda note: note.heavy,
    opened=opened,
    unread=unread,
)
