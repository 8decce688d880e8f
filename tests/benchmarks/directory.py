"""`python -m tests.benchmarks.directory`: how long reading a large customer file again holds up whoever is served."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time

from gateway.directory.file import FileSource
from gateway.directory.matching import question
from gateway.directory.options import Callbacks, FileOptions
from normalizers.message import Address

ROWS = 1_000_000
"""Unless the first argument says otherwise; each has an email, a domain and a phone number."""
EVERY = 0.001
"""Seconds between two lookups."""
TIERS = ("premium", "business", "free")
HEADER = "customer_id,organization,tier,name,email,domain,phone\n"
FORMS = (
    ("utf-8", "Acme {n} Korea", "Minsu Kim"),
    ("utf-8", "주식회사 에이컴 {n}", "김민수"),
    ("cp949", "주식회사 에이컴 {n}", "김민수"),
)
"""Encoding, organisation and name."""


def rows(organization: str, name: str, tier: str) -> Iterator[str]:
    """Without end."""
    n = 0
    while True:
        about = organization.format(n=n)
        yield f"C-{n},{about},{tier},{name},person{n}@acme{n}.example,acme{n}.example,+8210{n:08}\n"
        n += 1


async def measure(file: Path, count: int, encoding: str, organization: str, name: str) -> None:
    """Print how late lookups were while the file was read again."""

    def write(tier: str) -> None:
        with file.open("w", encoding=encoding) as text:
            text.write(HEADER)
            text.writelines(islice(rows(organization, name, tier), count))

    write("free")
    began = perf_counter()
    told: list[str] = []
    source = FileSource(
        FileOptions(path=file, encoding="cp949" if encoding == "cp949" else "utf-8"),
        tiers=TIERS,
        callbacks=Callbacks(on_reload=lambda *_: told.append("reloaded")),
    )
    first = perf_counter() - began
    write("premium")
    await source.refresh()  # the next look sees that it has settled
    late: list[tuple[float, float]] = []
    began = perf_counter()
    reading = asyncio.create_task(source.refresh())
    while not reading.done():
        due, busy = perf_counter() + EVERY, process_time()
        await asyncio.sleep(EVERY)
        await source.find(question([Address("email", f"person{len(late) % count}@acme{len(late) % count}.example")]))
        late.append((perf_counter() - due, process_time() - busy))
    again = perf_counter() - began
    late.sort()
    shares = "  ".join(f"{share:.1%} {late[int(len(late) * share)][0] * 1e3:.1f} ms" for share in (0.5, 0.99, 0.999))
    print(
        f"{encoding} {organization.format(n=0)!r}: {count:,} rows, {file.stat().st_size >> 20} MiB, "
        f"{len(source):,} addresses; read in {first:.1f} s, again beside lookups in {again:.1f} s {told}\n"
        f"  {len(late):,} lookups were late by: {shares}  worst {late[-1][0] * 1e3:.1f} ms, "
        f"of which this process had {late[-1][1] * 1e3:.1f} ms of the processor"
    )


async def main() -> None:
    """Every form of file, one after the other."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        for encoding, organization, name in FORMS:
            await measure(Path(folder) / "customers.csv", count, encoding, organization, name)


if __name__ == "__main__":
    asyncio.run(main())
