"""The limits of mail: what is beyond one stays in the raw original, and a warning says so."""

import pytest

from normalizers.email import MailPayload, heavy, normalize
from normalizers.mail import mailboxes, mime
from normalizers.mail.headers import decode_words
from normalizers.message import Address, Message, Proof
from normalizers.notes import Notes
from tests.normalizers.torture import TORTURE

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
    assert [attachment.name for attachment in message.attachments] == [f"{number}.png" for number in range(101)]
    assert [attachment.omitted_reason for attachment in message.attachments] == [None] * 100 + ["too_many"]
    assert message.attachments[100].content is None
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


def test_an_author_of_at_signs_is_looked_at_once() -> None:
    message = read(b"From: " + b"@" * 60_000 + b"\r\n\r\nhi")
    assert message.requester.addresses == ()


def test_headers_of_256_kib_are_the_last_that_are_read() -> None:
    long = b"".join(b"X-%d: " % number + b"x" * 60_000 + b"\r\n" for number in range(5))
    message = read(b"From: a@b.kr\r\n" + long + b"Subject: unread\r\n\r\nhi")
    assert (message.subject, message.text, codes(message)) == (None, "hi", ["headers_cut"])


def test_just_a_thousand_headers_are_all_read() -> None:
    message = read(b"x: y\r\n" * 998 + b"Subject: read\r\nFrom: a@b.kr\r\n\r\nhi")
    assert (message.subject, codes(message)) == ("read", [])


def test_a_header_of_just_64_kib_is_whole() -> None:
    folded = b"x" * 65_000 + b"\r\n <1@acme.example>"
    message = read(b"From: a@b.kr\r\nReferences: " + folded + b"\r\n\r\nhi")
    assert (message.thread.references, codes(message)) == (("<1@acme.example>",), [])


def test_a_page_past_2_mib_is_cut() -> None:
    page = b"<p>before</p>" + b"<p title='" + b"x" * 2**21 + b"'>after</p>"
    message = read(HEADERS + b"Content-Type: text/html\r\n\r\n" + page)
    assert "before" in message.text
    assert "after" not in message.text
    assert "text_cut" in codes(message)


def test_what_one_text_leaves_over_of_a_megabyte_is_all_the_others_get() -> None:
    part = b"--B\r\n\r\n" + b"%d" + b"x" * 400_000 + b"\r\n"
    parts = b"".join(part.replace(b"%d", b"%d " % number) for number in range(5))
    message = read(MIXED + parts + b"--B--\r\n")
    assert message.text.startswith("0 x")
    assert len(message.text) == 256 * 1024
    assert codes(message) == ["text_cut"]


def test_a_zip_bomb_is_a_file_like_any_other() -> None:
    message = read(TORTURE["zip bomb"](30_000))
    (file,) = message.attachments
    assert (file.name, (file.content or b"")[:4]) == ("bomb.zip", b"PK\x03\x04")


def test_mails_in_mails_are_not_opened() -> None:
    message = read(HEADERS + b"Content-Type: message/rfc822\r\n\r\n" * 1_000 + b"\r\nthe words")
    assert len(message.attachments) == 1


@pytest.mark.parametrize(
    ("content", "worker"),
    [
        (b"x" * 24 * 1024, False),
        (b"x" * (24 * 1024 + 1), True),
        (b"<" * 1000, False),
        (b"<" * 1001, True),
        (b"\n" * 1000, False),
        (b"\n" * 1001, True),
        (b"Content-Transfer-Encoding: BASE64" + b"x" * 16 * 1024, True),
        (b"Content-Transfer-Encoding: base64" + b"x" * 16 * 1000, False),
        (b"Content-Type: Text/Calendar", True),
        (b"From: MAILER-DAEMON@a.b", True),
    ],
)
def test_what_may_take_long_is_heavy(content: bytes, worker: bool) -> None:
    assert heavy(MailPayload(content=content)) is worker


def test_what_nobody_sent_is_heavy() -> None:
    assert heavy(MailPayload(content=b"x", null_sender=True))


def test_what_is_on_disk_is_heavy() -> None:
    assert heavy(MailPayload(content=b"", file="/scratch/1"))


def nested(levels: int) -> bytes:
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=B%d-\r\n\r\n--B%d-\r\n" % (level, level) for level in range(levels)
    )
    return opening + b"\r\nthe words\r\n" + b"".join(b"--B%d---\r\n" % level for level in reversed(range(levels)))


def test_delimiters_with_nothing_between_them_are_not_looked_at_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "_MOST_DELIMITERS", 10)
    assert "parts_cut" in codes(read(MIXED + b"--B\r\n" * 11))
    assert "parts_cut" not in codes(read(MIXED + b"--B\r\n" * 9))
