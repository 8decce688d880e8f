"""A source that keeps failing is left alone for a while, and tried with one question at a time."""

from collections.abc import Callable

FAILURES = 3
"""In a row, before a source counts as down."""
PAUSE = 5.0
"""Seconds between two trials of a source that is down."""
LONGEST_PAUSE = 300.0
"""Seconds; however long a source asks to be left alone."""


class Unavailable(Exception):
    """A source did not answer as a whole, sound one does; the message has nothing of a customer in it.

    `pause` (seconds) takes the source out at once: it asked for that, or the next question would fare no better.
    """

    def __init__(self, why: str, *, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


class Nonsense(Unavailable):
    """A source answered, and the answer to this one question is of no use: it says nothing about other questions."""


class Breaker:
    """Told how each question went; `on_change` hears of the first that takes the source down, and of its return."""

    def __init__(self, on_change: Callable[[bool, str], None], clock: Callable[[], float]) -> None:
        self._on_change, self._clock = on_change, clock
        self._failures = 0
        self._down = False
        self._trial_at = 0.0

    @property
    def down(self) -> bool:
        """Whether questions are kept from the source."""
        return self._down

    def allows(self) -> bool:
        """Whether to ask now; while the source is down one question in each pause may."""
        if not self._down:
            return True
        now = self._clock()
        if now < self._trial_at:
            return False
        self._trial_at = now + PAUSE
        return True

    def worked(self) -> None:
        """The source answered."""
        self._failures = 0
        if self._down:
            self._down = False
            self._on_change(True, "answers again")

    def failed(self, error: Unavailable) -> None:
        """The source did not."""
        self._failures += 1
        if error.pause is not None or self._failures >= FAILURES:
            self._trial_at = self._clock() + min(max(error.pause or 0.0, PAUSE), LONGEST_PAUSE)
            if not self._down:
                self._down = True
                self._on_change(False, str(error))
