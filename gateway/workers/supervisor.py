"""The supervisor: holds the addresses, keeps the workers alive, and is gone only after they are."""

import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway import metrics
from gateway.app import Serving, choose, verify
from gateway.settings import Settings
from gateway.workers.addresses import held
from gateway.workers.crew import Crew
from gateway.workers.lifeline import Assignment

MOST = 64


@asynccontextmanager
async def supervise(
    settings: Settings, *, only: Collection[str], workers: int, stop_within: float
) -> AsyncIterator[Serving]:
    """As many processes as said serve while entered; leaving it waits until they have finished what is in hand.

    Raises CannotStart or StartFailed on entry, TimeoutError on exit where one did not finish in time.
    """
    verify(settings)
    inboxes = choose(settings.channels, only)
    with held(settings.http, inboxes) as port, TemporaryDirectory(prefix="gateway-") as folder:
        shared = settings.model_copy(update={"http": settings.http.model_copy(update={"port": port})})

        def assignment(number: int) -> Assignment:
            return Assignment(number=number, settings=shared, only=tuple(only), metrics=Path(folder))

        crew = Crew(workers, _command, assignment, on_end=lambda number: metrics.forget(Path(folder), number))
        try:
            serving = await crew.start()
            assert isinstance(serving, Serving)
            yield serving
        finally:
            await crew.stop(stop_within)


def _command(number: int) -> list[str]:
    return [sys.executable, "-m", "gateway", "run", "--worker", str(number)]
