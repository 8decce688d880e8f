"""The directory: do its files load, do its servers answer, and whom does it leave in doubt."""

import asyncio
from collections.abc import Sequence

from gateway import parts
from gateway.doctor import Finding, failing, ok, warning
from gateway.metrics import Metrics
from gateway.settings import Settings

WITHIN = 30.0
"""A million customers load in seconds."""
_PATIENCE = 10.0
"""Seconds for the first answer of a source: it may have to connect and log in."""


async def check(settings: Settings) -> Sequence[Finding]:
    """Asks every server of the directory for somebody who cannot be."""
    if not settings.directory:
        return [warning("there is none: every customer has the default tier", "name a source under directory")]
    try:
        prepared = await asyncio.to_thread(parts.prepare_directory, settings)
    except parts.Misconfigured as error:
        return [failing(line, "mend it: a start is refused") for line in str(error).splitlines()]
    found = [ok(f"the source {file.name!r} has {len(file):,} addresses") for file in prepared.files]
    found += [warning(note, "give each address one customer") for file in prepared.files for note in file.notes]
    found += [warning(note, "let its url begin with https://") for note in prepared.exposed]
    if len(prepared.named) > len(prepared.files):
        async with parts.directory(settings, prepared, Metrics()) as directory:
            answers = await directory.probe(within=_PATIENCE)
        files = {file.name for file in prepared.files}
        found += [_answer(name, well) for name, well in answers.items() if name not in files]
    return found


def _answer(name: str, well: bool) -> Finding:
    if well:
        return ok(f"the source {name!r} answers")
    remedy = "see whether it is up and its credentials are right: until then its customers have the default tier"
    return warning(f"the source {name!r} gives no answer", remedy)
