"""What is asked of the replicas, and of the disks, before anybody hears yes."""

from typing import Any

from gateway.queue.connection.link import Command

_SHARE = 0.75
"""Of the time an exchange has; the rest is for the write itself and the way back."""


def wait_command(replicas: int, fsync: bool, timeout: float) -> Command | None:
    """What to send behind a write, in the same exchange of `timeout` seconds; None where nothing more is asked.

    WAIT for replicas that have it in memory; WAITAOF (Redis 7.2, Valkey 8) for the server, and so many replicas,
    that have fsynced it.
    """
    milliseconds = max(1, int(timeout * _SHARE * 1000))  # 0 would be for ever
    if fsync:
        return "WAITAOF", 1, replicas, milliseconds
    return ("WAIT", replicas, milliseconds) if replicas else None


def durable(command: Command, reply: Any) -> bool:
    """Whether the reply to that command says yes: an error, or a number too small, does not."""
    if command[0] == "WAITAOF":
        asked: tuple[int, ...] = command[1:3]
        return isinstance(reply, list) and len(reply) == 2 and all(map(_reaches, reply, asked))
    return _reaches(reply, command[1])


def _reaches(number: Any, asked: int) -> bool:
    return isinstance(number, int) and number >= asked
