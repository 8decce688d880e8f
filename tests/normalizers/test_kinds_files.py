"""The limits of attachments: what is beyond one has its name, its type and the reason, and is never left out."""

import pytest

from normalizers.email import MailPayload, normalize
from normalizers.filenames import LONGEST, clean_filename
from normalizers.mail import files
from normalizers.message import Attachment, Message

HEADERS = b"From: Minsu Kim <minsu@acme.example>\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"


def read(*bodies: bytes) -> Message:
    parts = (
        b"--B\r\nContent-Type: application/pdf; name=%d.pdf\r\n\r\n%s\r\n" % (number, body)
        for number, body in enumerate(bodies, 1)
    )
    (message,) = normalize(MailPayload(content=HEADERS + b"".join(parts) + b"--B--\r\n"))
    return message


def told(message: Message) -> list[tuple[str, bool, str | None]]:
    return [(one.name, _has_content(one), one.omitted_reason) for one in message.attachments]


def codes(message: Message) -> list[str]:
    return [warning.code for warning in message.warnings]


def _has_content(one: Attachment) -> bool:
    return one.content is not None or one.pieces is not None


def test_past_the_hundredth_each_is_told_without_its_content() -> None:
    message = read(*[b"x"] * 999)
    expected = [(f"{number}.pdf", number <= 100, None if number <= 100 else "too_many") for number in range(1, 1000)]
    assert told(message) == expected
    assert codes(message) == ["attachments_cut"]


def test_one_that_is_too_large_leaves_room_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_FILE", 1000)
    message = read(b"x" * 10, b"x" * 1001, b"x" * 1000)
    assert told(message) == [("1.pdf", True, None), ("2.pdf", False, "too_large"), ("3.pdf", True, None)]
    assert codes(message) == ["attachment_too_large"]


def test_all_together_have_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_TOGETHER", 1000)
    message = read(b"x" * 600, b"x" * 600, b"x" * 400)
    assert [reason for _, _, reason in told(message)] == [None, "too_large", None]


def test_beyond_a_thousand_a_warning_counts_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_ENTRIES", 3)
    assert len(read(*[b"x"] * 5).attachments) == 3
    assert codes(read(*[b"x"] * 5)) == ["attachments_cut"]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("CON", "_CON"),
        ("aux.tar.gz", "_aux.tar.gz"),
        ("COM¹", "_COM¹"),
        ("nul .txt", "_nul .txt"),
        ("console.txt", "console.txt"),
        ("com10.txt", "com10.txt"),
        ("in\u200bvo\u2060ice.pdf", "invoice.pdf"),
        ("tag\U000e0041.pdf", "tag.pdf"),
        ("👩‍💻.png", "👩‍💻.png"),
        ("e\u0301.txt", "é.txt"),
        ("e\u200b\u0301.txt", "é.txt"),
        ("a." + "x" * 300, "a." + "x" * (LONGEST - 2)),
    ],
)
def test_names_any_system_can_store(value: str, name: str) -> None:
    assert clean_filename(value) == name


@pytest.mark.parametrize("letter", ["가", "é", "a", "👩"])
@pytest.mark.parametrize("suffix", ["", ".pdf", ".tar.gz", ".가나다라마바사아자차카타파하"])
def test_a_long_name_keeps_its_suffix_within_255_bytes(letter: str, suffix: str) -> None:
    name = clean_filename(letter * 300 + suffix)
    assert len(name) <= LONGEST
    assert 200 - len(suffix) <= len(name.encode()) <= 255
    assert name.endswith(suffix.rpartition(".")[2])
