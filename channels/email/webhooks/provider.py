"""What a provider's door is, and the words it has for each outcome."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol, TypeVar

import msgspec

from channels.api import Refusal
from normalizers.mailed import Authentication

T = TypeVar("T")

_LARGE = 64 * 1024

UNREADABLE: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What msgspec raises over a document of a stranger; the last where it is nested too deep."""


@dataclass(frozen=True, kw_only=True)
class Post:
    """One request, its body read."""

    body: bytes
    headers: Mapping[str, str]
    content_type: str
    """The whole header, parameters and all."""
    peer: str


@dataclass(frozen=True, kw_only=True)
class Handed:
    """One genuine mail as a provider hands it over; recipients not yet told apart."""

    content: bytes
    mail_from: str = ""
    null_sender: bool = False
    """The provider says that MAIL FROM was `<>`."""
    recipients: tuple[str, ...] = ()
    peer: str | None = None
    authentication: Authentication | None = None


class Answer(Enum):
    """How a request ends that brought nothing."""

    DONE = "done"
    """Nothing to do, and nothing wrong."""
    NEVER = "never"
    """Not to be sent again: it would be turned away again."""
    UNPROVEN = "unproven"
    """Nobody can tell who sent it."""
    MEND = "mend"
    """Somebody has to mend the settings, here or at the provider; it may come again until then."""
    LATER = "later"
    """We cannot just now."""


@dataclass(frozen=True)
class TurnedAway(Exception):
    """Why a request brings no mail."""

    answer: Answer
    detail: str
    """A fixed phrase for the log."""
    words: str = ""
    """For whoever looks at the provider's own log; the detail where it is empty."""
    why: Refusal = Refusal.UNSUPPORTED


def forged(detail: str, words: str = "") -> TurnedAway:
    """Not from whom it says."""
    return TurnedAway(Answer.UNPROVEN, detail, words, Refusal.FORGED)


def statuses(**own: int) -> Mapping[Answer, int]:
    """Of each answer; 503 where a provider is to come again."""
    common = {Answer.DONE: 200, Answer.NEVER: 403, Answer.UNPROVEN: 401, Answer.MEND: 503, Answer.LATER: 503}
    return common | {Answer(name): status for name, status in own.items()}


async def aside(work: Callable[[], T], post: Post) -> T:
    """In a thread, where the body is large: in a form of 25 MB every percent sign is looked at."""
    return work() if len(post.body) < _LARGE else await asyncio.to_thread(work)


class Provider(Protocol):
    """One provider's way to post mail."""

    name: str
    paths: tuple[str, ...]
    statuses: Mapping[Answer, int]

    def limit(self, max_size: int) -> int:
        """The largest body, in bytes, in which a mail of `max_size` can come."""
        ...

    def admit(self, headers: Mapping[str, str], peer: str) -> None:
        """Looked at before the body is read. Raises TurnedAway."""
        ...

    async def read(self, post: Post) -> Handed:
        """The mail, taken out of the body by `aside`; who sent the request has been made sure of. Raises TurnedAway."""
        ...


@dataclass(frozen=True, kw_only=True)
class Fields:
    """Of a form: the first value of each name, decoded when it is asked for."""

    body: bytes
    places: Mapping[str, tuple[int, int]]
    """Where in the body each value begins and ends."""
    decode: Callable[[bytes, int, int], bytes]

    def data(self, name: str) -> bytes:
        """Empty where it is missing. Takes long for a mail: for `aside`."""
        return self.decode(self.body, *self.places.get(name, (0, 0)))

    def text(self, name: str) -> str:
        """The same of what is short: of anything else the beginning."""
        start, end = self.places.get(name, (0, 0))
        return self.decode(self.body, start, min(end, start + _LARGE)).decode("utf-8", "replace")

    def __contains__(self, name: str) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)
