"""What the gateway and its worker tell each other: msgpack, each piece after its length in four bytes."""

import struct
from typing import BinaryIO

import msgspec

from normalizers.message import Message, Problem

LONGEST = 64 * 2**20
"""Of one frame: the words of a mail and its smaller files; what is larger crosses as a file."""
BEGUN = b""
"""The worker has the channel in memory and starts now."""
_LENGTH = struct.Struct(">I")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One payload for the worker."""

    channel: str
    way: bytes
    """The type of its payload, its `opened` and its `normalize`, pickled by name: their modules are all the worker
    imports. Empty where they have no names; then it imports the channel whole."""
    folder: str
    """Where files that are too large for a frame go; whoever asked removes it."""
    payload: msgspec.Raw


class Read(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What was said in it."""

    messages: tuple[Message, ...]


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It breaks its channel's own rules."""

    problems: tuple[Problem, ...]
    incomplete: bool


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An unexpected exception, as `failures.place` and `failures.account` tell it."""

    place: str
    account: str
    exhausted: bool
    """Whether it wanted more memory than it is allowed: the worker is of no more use."""
    no_room: bool
    """Whether the disk is full, which is not the payload's fault."""


Answer = Read | Refused | Failed

encode = msgspec.msgpack.Encoder().encode
_answer = msgspec.msgpack.Decoder(Answer).decode
request = msgspec.msgpack.Decoder(Request).decode


def answer(content: bytes) -> Answer:
    """Raises DecodeError on what no worker of this version says."""
    decoded: Answer = _answer(content)
    return decoded


def framed(content: bytes) -> bytes:
    """With its length before it."""
    return _LENGTH.pack(len(content)) + content


def length(head: bytes) -> int:
    """Of the frame that follows. Raises ValueError where that is more than anybody should hold."""
    (found,) = _LENGTH.unpack(head)
    if found > LONGEST:
        raise ValueError("a frame is too long")
    return int(found)


def read(source: BinaryIO) -> bytes | None:
    """The next frame, None at the end. Raises ValueError on half a frame."""
    head = source.read(_LENGTH.size)
    if not head:
        return None
    content = source.read(length(head.ljust(_LENGTH.size, b"\xff")))
    return content


def write(sink: BinaryIO, content: bytes) -> None:
    """At once."""
    sink.write(framed(content))
    sink.flush()


HEAD = _LENGTH.size
