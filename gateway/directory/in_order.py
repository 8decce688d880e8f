"""Several sources as one directory, with one time budget for all."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from gateway.directory.file import FileSource
from gateway.directory.lookup import UNKNOWN, Heard, Lookup, Source
from gateway.directory.matching import question
from normalizers.message import Address, MessageWarning

_NOBODY = question([Address("email", "nobody@directory.invalid")])
_INCOMPLETE = MessageWarning("directory_incomplete", "a source that is asked earlier did not answer")


class InOrder:
    """Sources asked in order; the first that knows, or doubts, has the say. `budget` in seconds."""

    def __init__(self, sources: Sequence[Source], *, budget: float = 0.5) -> None:
        self._sources, self._budget = tuple(sources), budget

    async def find(self, addresses: Sequence[Address], /, *, on_heard: Callable[[Heard], None] | None = None) -> Lookup:
        """Ask one after the other; once the budget is spent, only what they know already.

        `on_heard` is told what each source that was asked said.
        """
        asked = question(addresses)
        if not asked.exact:
            return UNKNOWN
        deadline = asyncio.get_running_loop().time() + self._budget
        failed: Lookup | None = None
        for source in self._sources:
            lookup = await source.find(asked, deadline)
            if on_heard is not None:
                on_heard(_heard(source, lookup))
            if lookup.status == "failed":
                failed = failed or lookup
            elif lookup.status != "unknown":
                if failed is not None:
                    return msgspec.structs.replace(lookup, notes=(*lookup.notes, *failed.notes, _INCOMPLETE))
                return lookup
        return failed or UNKNOWN

    async def probe(self, *, within: float | None = None) -> dict[str, bool]:
        """Whether each source, by name, answers a question about somebody who cannot exist (RFC 2606).

        All are asked at once; `within` (seconds) takes the place of the budget.
        """
        deadline = asyncio.get_running_loop().time() + (self._budget if within is None else within)
        lookups = await asyncio.gather(*(source.find(_NOBODY, deadline) for source in self._sources))
        return {
            source.name: lookup.status != "failed" and not source.down
            for source, lookup in zip(self._sources, lookups, strict=True)
        }


def _heard(source: Source, lookup: Lookup) -> Heard:
    matched = lookup.matched
    places = source.places(matched) if matched is not None and isinstance(source, FileSource) else ()
    return Heard(source=source.name, lookup=lookup, places=places)
