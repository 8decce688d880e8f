"""Mails after accidents keep every promise; `python -m tests.fuzz.mail` looks longer."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as some

from tests.fuzz.mail import check, seeds
from tests.fuzz.mutations import mutated

SEEDS = seeds()


@settings(max_examples=400)
@given(some.integers(0, 2**64))
def test_a_mutated_mail_keeps_every_promise(seed: int) -> None:
    check(mutated(SEEDS, Random(seed)))


@settings(max_examples=300)
@given(some.binary(max_size=2_000))
def test_bytes_keep_every_promise(content: bytes) -> None:
    check(content)


@settings(max_examples=300)
@given(
    some.lists(some.sampled_from([b"From", b"Subject", b"Content-Type", b"Date", b"Message-ID"]), max_size=5),
    some.data(),
)
def test_headers_of_any_bytes_keep_every_promise(names: list[bytes], data: some.DataObject) -> None:
    lines = [name + b": " + data.draw(some.binary(max_size=200)) for name in names]
    check(b"\r\n".join([*lines, b"", "글".encode()]))
