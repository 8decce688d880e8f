import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.line_ends import normalized
from channels.email.smtp import mending
from channels.email.smtp.data_reader import DataReader
from channels.email.smtp.mending import Mender, mended
from tests.channels.email_door import stuffed

NOT_AN_END = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r.\r",
    b"\r\n.\r\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n\x00.\r\n",
    b"\r\n. \r\n",
    b"\n\n.\r\n",
]

wire = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"a", b"\r\n.", b"\x00"]), max_size=30).map(b"".join)
steady = settings(derandomize=True, database=None, max_examples=200, deadline=None)


def read(*chunks: bytes, limit: int = 10_000) -> tuple[bytes | None, bytes]:
    """The message and what followed it."""
    reader = DataReader(limit)
    for at, chunk in enumerate(chunks):
        if (rest := reader.feed(chunk)) is not None:
            return reader.message(), rest + b"".join(chunks[at + 1 :])
    raise AssertionError("the end was not seen")


def test_message_ends_at_the_lone_dot_and_commands_follow():
    assert read(b"Subject: a\r\n\r\nb\r\n.\r\nQUIT\r\n") == (b"Subject: a\r\n\r\nb\r\n", b"QUIT\r\n")


def test_empty_message():
    assert read(b".\r\n") == (b"", b"")


def test_message_of_one_empty_line():
    assert read(b"\r\n.\r\n") == (b"\r\n", b"")


def test_dots_are_unstuffed_at_line_starts_only():
    message = b".first\r\n..\r\n...three\r\nin . the. middle..\r\n.\r\n\r\nlast\r\n"
    assert read(stuffed(message)) == (message, b"")


@pytest.mark.parametrize("variant", NOT_AN_END)
def test_only_crlf_dot_crlf_ends_it(variant: bytes):
    message, rest = read(b"one" + variant + b"MAIL FROM:<x@y.example>\r\n.\r\n")
    assert message is not None
    assert b"MAIL FROM" in message
    assert rest == b""


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"a\nb\r\n", b"a\r\nb\r\n"),
        (b"a\rb\r\n", b"a\r\nb\r\n"),
        (b"a\r\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\n\rb\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\x00\xff\r\n", b"a\x00\xff\r\n"),
    ],
)
def test_bare_line_ends_become_crlf(sent: bytes, kept: bytes):
    assert read(sent + b".\r\n")[0] == kept


@given(wire)
@steady
def test_normalized_has_no_bare_line_end_and_stays(content: bytes):
    once = normalized(content)
    assert once.count(b"\r") == once.count(b"\n") == once.count(b"\r\n")
    assert normalized(once) == once


@given(wire, st.integers(1, 4))
@steady
def test_the_cut_into_pieces_does_not_matter(content: bytes, piece: int):
    sent = content + b"\r\n.\r\n"
    whole = read(sent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mending, "PIECE", piece)
        assert read(sent) == whole


@given(wire)
@steady
def test_what_is_stuffed_comes_out_as_it_was(content: bytes):
    message = normalized(content + b"\r\n")
    assert read(stuffed(message) + b"RSET\r\n") == (message, b"RSET\r\n")


def taken(sent: bytes, sizes: list[int]) -> tuple[bytes, bytes]:
    """As `read`, where the message is taken out of the reader while it arrives."""
    reader, mender, message, at = DataReader(10_000), Mender(), b"", 0
    for turn in range(len(sent)):
        size = sizes[turn % len(sizes)]
        rest = reader.feed(sent[at : at + size])
        at += size
        if turn % 2 or rest is not None:
            message += b"".join(mended(reader.take(), mender, last=rest is not None))
        if rest is not None:
            return message, rest + sent[at:]
    raise AssertionError("the end was not seen")


@given(wire, st.lists(st.integers(1, 5), min_size=1))
@steady
def test_a_message_taken_in_pieces_is_the_same(content: bytes, sizes: list[int]):
    sent = content + b"\r\n.\r\nQUIT\r\n"
    assert taken(sent, sizes) == read(sent)


@given(wire, st.lists(st.integers(1, 5), min_size=1))
@steady
def test_the_cut_of_the_chunks_does_not_matter(content: bytes, sizes: list[int]):
    sent = content + b"\r\n.\r\nQUIT\r\n"
    chunks: list[bytes] = []
    at = 0
    while at < len(sent):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(sent[at : at + size])
        at += size
    assert read(*chunks) == read(sent)


@pytest.mark.parametrize("chunk", [1, 7, 64, 5000])
def test_limit_is_exact_however_it_is_cut(chunk: int):
    for size, oversized in ((998, False), (999, True)):
        reader = DataReader(1000)
        sent = b"x" * size + b"\r\n.\r\n"
        for at in range(0, len(sent), chunk):
            rest = reader.feed(sent[at : at + chunk])
        assert rest == b""
        assert (reader.message() is None) is oversized
        assert reader.received == len(sent)


def test_too_big_is_not_kept_in_memory_and_its_end_is_found():
    reader = DataReader(1000)
    for _ in range(100):
        assert reader.feed(b"x" * 500) is None
        assert reader.size <= 1010
    assert reader.feed(b"\r\n.\r\nNOOP\r\n") == b"NOOP\r\n"
    assert reader.message() is None


def test_what_is_taken_is_held_no_longer_and_counts_for_the_limit():
    reader = DataReader(10_000)
    for _ in range(18):
        assert reader.feed(b"x" * 500) is None
        assert len(reader.take()) >= 496
        assert reader.size <= 4
    assert not reader.too_big
    assert reader.feed(b"x" * 998 + b"\r\n.\r\n") == b""
    assert not reader.too_big
    assert len(reader.take()) == 1004
    assert (reader.take(), reader.size) == (b"", 0)


@pytest.mark.parametrize(("size", "oversized"), [(998, False), (999, True)])
def test_limit_is_exact_when_the_message_is_taken_in_pieces(size: int, oversized: bool):
    reader = DataReader(1000)
    for byte in b"x" * size + b"\r\n.\r\n":
        reader.feed(bytes([byte]))
        reader.take()
    assert reader.too_big is oversized


def test_discarded_keeps_nothing_and_finds_its_end():
    reader = DataReader(1000)
    reader.feed(b"x" * 500 + b"\r\n.")
    reader.discard()
    assert reader.size <= 5
    assert reader.feed(b"\r\n") == b""


def test_a_hostile_million_of_line_ends_takes_no_time_to_speak_of():
    # A quadratic scan would take minutes here.
    for ends in (b"\r", b"\n", b"\r\r\n", b"\n\r"):
        message, _ = read(ends * 500_000 + b"\r\n.\r\n", limit=5_000_000)
        assert message is not None
        assert message.count(b"\r\n") >= 500_000


def test_limit_holds_for_what_is_handed_over():
    assert read(b"\n" * 499 + b"\r\n.\r\n", limit=1000)[0] == b"\r\n" * 500
    assert read(b"\n" * 500 + b"\r\n.\r\n", limit=1000)[0] is None
