"""The limits of mail: what is beyond one stays in the raw original, and a warning says so."""

import pytest

from normalizers.email import MailPayload, heavy, normalize
from normalizers.mail import mailboxes
from normalizers.mail.headers import decode_words
from normalizers.message import Address, Message, Proof
from normalizers.notes import Notes

HEADERS = b"From: Minsu Kim <minsu@acme.example>\r\nMessage-ID: <1@acme.example>\r\nSubject: Login page\r\n"
MIXED = HEADERS + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"


def read(content: bytes) -> Message:
    (message,) = normalize(MailPayload(content=content))
    return message


def codes(message: Message) -> list[str]:
    return [warning.code for warning in message.warnings]


def test_a_subject_of_a_megabyte() -> None:
    message = read(b"Subject: " + b"x" * 1_000_000 + b"\r\nFrom: a@b.kr\r\n\r\nhi")
    assert message.subject == "x" * 998
    assert message.requester.addresses == (Address("email", "a@b.kr"),)
    assert codes(message) == ["headers_cut", "subject_cut"]


def test_a_header_folded_a_million_times() -> None:
    message = read(b"Subject: x" + b"\r\n\ty" * 1_000_000 + b"\r\nFrom: a@b.kr\r\n\r\nhi")
    assert message.text == "hi"
    assert codes(message) == ["headers_cut", "subject_cut"]


def test_a_million_headers() -> None:
    message = read(b"From: a@b.kr\r\n" + b"x: y\r\n" * 1_000_000 + b"\r\nhi")
    assert message.text == "hi"
    assert codes(message) == ["headers_cut"]


def test_a_line_of_a_megabyte_is_cut_between_characters() -> None:
    message = read(HEADERS + b"\r\n" + "가".encode() * 350_000)
    assert message.text == "가" * (256 * 1024 // 3)
    assert codes(message) == ["text_cut"]


def test_text_of_exactly_the_limit_is_whole() -> None:
    message = read(HEADERS + b"\r\n" + b"x" * (256 * 1024))
    assert len(message.text) == 256 * 1024
    assert codes(message) == []


def test_twenty_thousand_parts() -> None:
    parts = b"".join(b"--B\r\n\r\npart %d\r\n" % number for number in range(20_000))
    message = read(MIXED + parts + b"--B--\r\n")
    assert message.text.startswith("part 0\n\npart 1\n\n")
    assert message.text.endswith("part 998")
    assert codes(message) == ["parts_cut"]


def test_just_a_thousand_parts_are_all_read() -> None:
    parts = b"".join(b"--B\r\n\r\npart %d\r\n" % number for number in range(999))
    message = read(MIXED + parts + b"--B--\r\n")
    assert message.text.endswith("part 998")
    assert codes(message) == []


def test_the_hundred_and_first_attachment() -> None:
    parts = b"".join(b"--B\r\nContent-Type: image/png; name=%d.png\r\n\r\nx\r\n" % number for number in range(101))
    message = read(MIXED + parts + b"--B--\r\n")
    assert [attachment.name for attachment in message.attachments] == [f"{number}.png" for number in range(100)]
    assert codes(message) == ["attachments_cut"]


@pytest.mark.parametrize("levels", [60, 10_000])
def test_parts_nested_too_deep_are_shown_raw(levels: int) -> None:
    message = read(HEADERS + nested(levels))
    assert "too_deep" in codes(message)
    assert message.text.startswith("--B0-\nContent-Type: multipart/mixed")
    assert message.subject == "Login page"


def test_parts_nested_fifty_deep_are_read() -> None:
    message = read(HEADERS + nested(50))
    assert (message.text, codes(message)) == ("the words", [])


def test_fifty_thousand_nested_elements_keep_their_words() -> None:
    page = b"<p>before</p>" + b"<div>" * 50_000 + b"inside" + b"</div>" * 50_000 + b"<p>after</p>"
    message = read(HEADERS + b"Content-Type: text/html\r\n\r\n" + page)
    assert message.text.split() == ["before", "inside", "after"]


def test_delimiters_that_are_none_are_given_up() -> None:
    message = read(MIXED + b"--B\r\n\r\nthe words\r\n" + b"--Bx\r\n" * 1_000_000)
    assert message.text.startswith("the words")
    assert codes(message) == ["parts_cut"]


@pytest.mark.parametrize("junk", [b"," * 60_000, b"x, " * 1_000, b":" * 60_000, b"<>" * 30_000, b"(" * 60_000])
def test_a_from_is_not_read_for_ever(junk: bytes) -> None:
    message = read(b"From: " + junk + b"\r\n ,<minsu@acme.example>\r\n\r\nhi")
    assert message.requester.addresses == ()
    assert "from_cut" in codes(message)


@pytest.mark.parametrize("junk", [b"," * 60_000, b":" * 60_000, b"(" * 60_000])
def test_an_author_with_much_unread_behind_him_is_suspect(junk: bytes) -> None:
    message = read(b"From: <minsu@acme.example>" + junk + b"\r\n ,<vip@bank.example>\r\n\r\nhi")
    assert [address.value for address in message.requester.addresses] == ["minsu@acme.example"]
    assert message.proof is Proof.SUSPECT


def test_a_from_of_many_bare_addresses_is_cut_too() -> None:
    message = read(b"From: " + b"minsu@acme.example " * 3_000 + b"\r\n\r\nhi")
    assert message.evidence == ("from_mailboxes=1000",)
    assert codes(message) == ["from_cut"]


def test_a_long_name_is_decoded_once_for_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counted(line: str, notes: Notes) -> str:
        decoded.append(line)
        return decode_words(line, notes)

    monkeypatch.setattr(mailboxes, "decode_words", counted)
    boxes = mailboxes.read_mailboxes("a@b.kr " * 1_000 + "=?utf-8?q?Minsu?= " * 1_000, Notes())
    assert {box.name[:5] for box in boxes} == {"Minsu"}
    assert (len(boxes), len(decoded)) == (1_000, 1)


def test_only_large_mail_is_heavy() -> None:
    assert not heavy(MailPayload(content=b"x" * 128 * 1024))
    assert heavy(MailPayload(content=b"x" * (128 * 1024 + 1)))


def nested(levels: int) -> bytes:
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=B%d-\r\n\r\n--B%d-\r\n" % (level, level) for level in range(levels)
    )
    return opening + b"\r\nthe words\r\n" + b"".join(b"--B%d---\r\n" % level for level in reversed(range(levels)))
