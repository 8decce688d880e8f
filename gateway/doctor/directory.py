"""The directory: do its files load, do its servers answer, and whom does it leave in doubt."""

import asyncio
from collections.abc import Sequence

from gateway import parts
from gateway.doctor import Finding, failing, ok, warning
from gateway.metrics import Metrics
from gateway.settings import Settings
from normalizers.message import Address

WITHIN = 30.0
"""A million customers load in seconds."""
_NOBODY = Address("email", "nobody@gateway.invalid")


async def check(settings: Settings) -> Sequence[Finding]:
    """Asks every server of the directory for somebody who cannot be."""
    if not settings.directory:
        return [warning("there is none: every customer has the default tier", "name a source under directory")]
    try:
        prepared = await asyncio.to_thread(parts.prepare_directory, settings)
    except parts.Misconfigured as error:
        return [failing(line, "mend it: a start is refused") for line in str(error).splitlines()]
    found = [ok(f"the source {file.name!r} has {len(file):,} addresses") for file in prepared.files]
    found += [warning(note, "give each address one customer") for note in prepared.notes]
    if len(prepared.named) > len(prepared.files):
        async with parts.directory(settings, prepared, Metrics()) as directory:
            lookup = await directory.find([_NOBODY])
        if lookup.status == "failed":
            remedy = (
                "see whether it is up and its credentials are right: until then its customers have the default tier"
            )
            found.append(warning("a source gives no answer", remedy))
        else:
            found.append(ok("every source answers"))
    return found
