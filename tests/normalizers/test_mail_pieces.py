"""What is decoded piece by piece is to the byte what is decoded whole, and never in memory whole."""

import base64
import binascii
import mmap
import random
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from channels.mapped import mapped
from normalizers.email import MailPayload, normalize
from normalizers.mail import pieces
from normalizers.mail.transfer import Encoding, decode_base64
from normalizers.message import Attachment, Malformed

MIXED = b"From: a@b.kr\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nhi\r\n"
SCRAPS = [
    *(b"QUJD", b"QQ==", b"QUI=", b"=", b"==", b"A", b"\r\n", b"\n\n", b" ", b"!", b"\xff"),
    *(b"\r\n\r\n", b"--\r\nlist footer"),
]
QUOTED = [b"a", b"=41", b"=\r\n", b"=\n", b"\r\n", b"\n", b"=", b"=4", b" ", b"=ZZ", b"==", b"=ed=a0=80"]


def quoted(content: bytes) -> bytes:
    return binascii.b2a_qp(content, istext=False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few bytes: every cut happens."""
    monkeypatch.setattr(pieces, "_PIECE", 5)


def whole(data: bytes, encoding: Encoding) -> tuple[bytes, bool]:
    found = pieces.pieces_of(b"before" + data + b"after", 6, 6 + len(data), encoding)
    return b"".join(found), found.in_order


@given(some.lists(some.sampled_from(SCRAPS), max_size=30), some.integers(1, 9))
@example([b"QQ==", b"\r\n", b"QQ=="], 1)
@example([b"=", b"QUJD"], 3)
def test_base64_in_any_order_and_disorder(scraps: list[bytes], piece: int) -> None:
    data = b"".join(scraps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_PIECE", piece)
        assert whole(data, Encoding.BASE64) == decode_base64(data)


@given(some.binary(max_size=400))
def test_base64_as_it_should_be(content: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_PIECE", 7)
        assert whole(base64.encodebytes(content), Encoding.BASE64) == (content, True)


@given(some.lists(some.sampled_from(QUOTED), max_size=40))
def test_quoted_printable_is_cut_at_line_ends(scraps: list[bytes]) -> None:
    data = b"".join(scraps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_PIECE", max(map(len, data.split(b"\n"))) + 1)
        assert whole(data, Encoding.QUOTED) == (binascii.a2b_qp(data), True)


@pytest.mark.usefixtures("small")
def test_a_line_without_end_is_not_cut_within_an_escape() -> None:
    assert whole(b"=41=42=43=44ab=45", Encoding.QUOTED) == (b"ABCDabE", True)


@pytest.mark.usefixtures("small")
def test_what_is_not_encoded_is_as_it_came() -> None:
    assert whole(b"\0\xff" * 20, Encoding.NONE) == (b"\0\xff" * 20, True)


@pytest.mark.parametrize(("name", "encode"), [("base64", base64.encodebytes), ("quoted-printable", quoted)])
def test_a_large_attachment_comes_in_pieces(name: str, encode, tmp_path: Path) -> None:
    content = random.Random(3).randbytes(100_000)
    with attachment(tmp_path, content, name.encode(), encode) as file:
        assert file.content is None
        assert b"".join(file.pieces or ()) == content == b"".join(file.pieces or ())


def test_a_small_one_comes_at_once(tmp_path: Path) -> None:
    with attachment(tmp_path, b"%PDF" * 100, b"base64", base64.encodebytes) as file:
        assert file.content == b"%PDF" * 100


def test_damage_is_told_before_anything_is_decoded(tmp_path: Path) -> None:
    file = tmp_path / "mail"
    file.write_bytes(part(b"base64", base64.encodebytes(b"x" * 100_000) + b"!!!"))
    with mapped(MailPayload(content=b"", file=str(file))) as payload:
        (message,) = normalize(payload)
    assert [warning.code for warning in message.warnings] == ["bad_transfer_encoding"]


def test_a_map_is_read_like_bytes(tmp_path: Path) -> None:
    """Every golden mail, from a file and from memory."""
    file = tmp_path / "mail"
    for given_mail in sorted((Path(__file__).parent / "cases" / "email").glob("*.in.eml")):
        content = given_mail.read_bytes()
        file.write_bytes(content)
        with mapped(MailPayload(content=b"", file=str(file))) as payload:
            assert isinstance(payload.content, mmap.mmap), given_mail.name
            assert outcome(payload) == outcome(MailPayload(content=content)), given_mail.name


def test_a_mail_of_25_mb_is_never_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "mail"
    file.write_bytes(part(b"base64", base64.encodebytes(bytes(25 * 2**20))))
    tracemalloc.start()
    try:
        with mapped(MailPayload(content=b"", file=str(file))) as payload:
            (message,) = normalize(payload)
            size = sum(map(len, message.attachments[0].pieces or ()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 25 * 2**20
    assert peak < 4 * 2**20


def test_an_empty_file_is_an_empty_mail(tmp_path: Path) -> None:
    file = tmp_path / "mail"
    file.write_bytes(b"")
    with mapped(MailPayload(content=b"", file=str(file))) as payload:
        assert payload.content == b""


def outcome(payload: MailPayload) -> object:
    try:
        return normalize(payload)
    except Malformed as fault:
        return fault.problems


def part(encoding: bytes, body: bytes) -> bytes:
    head = b"--B\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    return MIXED + head + body + b"\r\n--B--\r\n"


@contextmanager
def attachment(folder: Path, content: bytes, encoding: bytes, encode) -> Iterator[Attachment]:
    file = folder / "mail"
    file.write_bytes(part(encoding, encode(content)))
    with mapped(MailPayload(content=b"", file=str(file))) as payload:
        (message,) = normalize(payload)
        yield message.attachments[0]
