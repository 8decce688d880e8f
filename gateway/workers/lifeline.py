"""What connects a worker with its supervisor: the first word, the answer, and the end that tells of a death."""

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gateway.settings import Settings

_STDIN = 0


class NoSupervisor(Exception):
    """Nobody is at the other end: this process is not a worker, or its supervisor is gone."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """All a worker is told. The settings are the supervisor's own: a restarted worker serves what its siblings do."""

    number: int
    settings: Settings
    only: Sequence[str]
    metrics: Path


class Lifeline:
    """The worker's end, which came as its standard input: no child of a worker inherits it."""

    lost = False
    """Whether the supervisor is gone."""

    def __init__(self) -> None:
        if not stat.S_ISSOCK(os.fstat(_STDIN).st_mode):
            raise NoSupervisor("--worker is how a supervisor starts a worker: use --workers")
        self._connection = Connection(os.dup(_STDIN))
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, _STDIN)
        os.close(nothing)

    def assignment(self) -> Assignment:
        """Wait for the first word. Raises NoSupervisor."""
        try:
            first = self._connection.recv()
        except (EOFError, OSError) as error:
            raise NoSupervisor("the supervisor is gone") from error
        assert isinstance(first, Assignment)
        self._folder = first.metrics
        return first

    def ready(self, serving: object) -> None:
        """Tell the supervisor that this worker listens; one that is gone is told of elsewhere."""
        try:
            self._connection.send(serving)
        except OSError:
            return

    def tidy(self) -> None:
        """Remove what a supervisor that is gone can no longer remove."""
        if self.lost:
            shutil.rmtree(self._folder, ignore_errors=True)

    def watch(self, lost: Callable[[], None]) -> None:
        """Call `lost` once, in the running loop, when the supervisor is gone."""
        loop, handle = asyncio.get_running_loop(), self._connection.fileno()

        def readable() -> None:  # nothing is said after the assignment: it is the end
            loop.remove_reader(handle)
            self.lost = True
            lost()

        loop.add_reader(handle, readable)
