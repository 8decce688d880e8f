"""What the checks read of a mail: the header the normalizer reads, so that no author is shown to one of them only."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from channels.email.arrival import Arrival
from channels.email.authentication.names import dns_name
from normalizers.mail.author import authors, only_author
from normalizers.mail.headers import headers_start, read_headers, unfold
from normalizers.notes import Notes


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The header of one mail."""

    start: int
    body: int
    """Where header and body begin."""
    author: str | None
    """The domain of the one mailbox in From, as `dns_name` gives it; None where that is not one, or no domain."""
    nameless: bool
    """Whether From names nobody, so that the envelope sender stands in for the author."""
    signatures: tuple[bytes, ...]
    """The values of DKIM-Signature, topmost first, as they came."""
    results: tuple[str, ...]
    """Those of Authentication-Results."""


def read(content: bytes) -> Reading:
    """All of it is handed over: whatever may stand before the header, the normalizer passes over it."""
    notes = Notes()
    start = headers_start(content)
    headers, body = read_headers(content, start, len(content), notes)
    named = authors(headers)
    alone = only_author(headers, named)
    return Reading(
        start=start,
        body=body,
        author=dns_name(alone.rpartition("@")[2]) if alone else None,
        nameless=not named,
        signatures=tuple(headers.all("dkim-signature")),
        results=tuple(unfold(value) for value in headers.all("authentication-results")),
    )


def read_file(arrival: Arrival) -> Reading:
    """Raises OSError."""
    with opened(arrival) as content:
        return read(content)  # type: ignore[arg-type] # read as bytes are


@contextmanager
def opened(arrival: Arrival) -> "Iterator[bytes | mmap.mmap]":
    """The whole mail, from memory or mapped into it. Raises OSError."""
    if arrival.file is None:
        yield arrival.content
        return
    with arrival.file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content
