"""The process that normalizes: `python -m gateway.normalizing.worker SECONDS BYTES`, asked through its standard input.

It ends when nobody is at the other end any more, and kills itself when nobody else does it in time.
"""

import errno
import os
import pickle
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gateway.failures import account, place
from gateway.normalizing import frames
from normalizers.message import Attachment, Incomplete, Malformed, Message

_LARGE = 64 * 1024
"""Bytes of a file that crosses within the frame."""
_LARGEST_FILE = 256 * 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NICER = 5
"""The event loop goes first where there are fewer cores than processes."""


def main(seconds: float, memory: int) -> None:
    """Answer until the other end is gone; `memory` bounds the address space."""
    source, sink = _pipes()
    _confine(memory)
    while (asked := frames.read(source)) is not None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        frames.write(sink, _answered(asked, sink, seconds))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answered(asked: bytes, sink: BinaryIO, seconds: float) -> bytes:
    try:
        request = frames.request(asked)
        kind, open_, normalize = _way(request)
        payload = msgspec.msgpack.decode(request.payload, type=kind)
        frames.write(sink, frames.BEGUN)
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds)  # for an orphan: whoever asked gives up sooner
        with open_(payload) as opened:
            messages = tuple(_filed(message, Path(request.folder)) for message in normalize(opened))
        return frames.encode(frames.Read(messages=messages))
    except Malformed as fault:
        return frames.encode(frames.Refused(problems=fault.problems, incomplete=isinstance(fault, Incomplete)))
    except Exception as bug:  # told to whoever asked, like one of their own
        return frames.encode(
            frames.Failed(
                place=place(bug),
                account=account(bug),
                exhausted=isinstance(bug, MemoryError),
                no_room=isinstance(bug, OSError) and bug.errno in _FULL,
            )
        )


def _way(request: frames.Request) -> tuple[Any, Any, Any]:
    if request.way:
        kind, open_, normalize = pickle.loads(request.way)
        return kind, open_, normalize
    from channels import registry  # 30 MB and half a second

    channel = registry.load(request.channel)
    return channel.payload, channel.opened, channel.normalize


def _filed(message: Message, folder: Path) -> Message:
    """Its larger files are on disk, written piece by piece."""
    if not message.attachments:
        return message
    return msgspec.structs.replace(message, attachments=tuple(_moved(one, folder) for one in message.attachments))


def _moved(attachment: Attachment, folder: Path) -> Attachment:
    if attachment.pieces is not None:
        return msgspec.structs.replace(attachment, pieces=None, file=_written(attachment.pieces, folder))
    if attachment.content is not None and len(attachment.content) > _LARGE:
        return msgspec.structs.replace(attachment, content=None, file=_written((attachment.content,), folder))
    return attachment


def _written(pieces: Iterable[bytes], folder: Path) -> str:
    handle, path = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "wb") as file:
        for piece in pieces:
            file.write(piece)
    return path


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Ours alone: what a library prints must not end up in an answer."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return source, sink


def _confine(memory: int) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM):  # meant for the gateway, which finishes what is in hand
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # a system that knows no such limit, or has set a lower one
            resource.setrlimit(what, (most, most))
    with suppress(OSError):
        os.nice(_NICER)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
