"""What golden files cannot say about mail: who wrote it, identity across relays, any bytes at all."""

from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizers.email import MailPayload, normalize
from normalizers.message import Address, Malformed, Message, Proof

HEADERS = b"From: Minsu Kim <minsu@acme.example>\r\nMessage-ID: <1@acme.example>\r\nSubject: Login page\r\n"
MIXED = HEADERS + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"


def read(content: bytes, *, mail_from: str = "", recipients: tuple[str, ...] = ()) -> Message:
    (message,) = normalize(MailPayload(content=content, mail_from=mail_from, recipients=recipients))
    return message


class TestWhoWroteIt:
    def test_without_from_the_envelope_sender_stands_in(self) -> None:
        message = read(b"Subject: x\r\n\r\nhi", mail_from="Minsu@ACME.example")
        assert message.requester.addresses == (Address("email", "minsu@acme.example"),)
        assert (message.proof, message.evidence) == (Proof.CLAIMED, ("from_missing",))

    def test_a_bounce_without_from_is_nobodys(self) -> None:
        message = read(b"Subject: x\r\n\r\nhi", mail_from="")
        assert message.requester.addresses == ()
        assert (message.proof, message.evidence) == (Proof.ANONYMOUS, ("from_missing",))

    def test_the_envelope_sender_never_joins_a_from(self) -> None:
        message = read(HEADERS + b"\r\nhi", mail_from="vip@bank.example")
        assert message.requester.addresses == (Address("email", "minsu@acme.example"),)

    @pytest.mark.parametrize(
        "author",
        [
            "vip@bank.example <attacker@evil.example>",
            '"vip@bank.example" <attacker@evil.example>',
            "(vip@bank.example) <attacker@evil.example>",
            "<attacker@evil.example> vip@bank.example",
            "=?utf-8?b?dmlwQGJhbmsuZXhhbXBsZQ==?= <attacker@evil.example>",
            '"=?utf-8?q?vip=40bank=2Eexample?=" <attacker@evil.example>',
            "vip＠bank.example <attacker@evil.example>",
            "v\u200bip@bank.ex\u200bample <attacker@evil.example>",
            "vip@bank.example <attacker@bank.exam>",
            '"Kim <vip@bank.example>" <attacker@evil.example>',
            "vip@bank.example, attacker@evil.example",
            "vip@bank.example attacker@evil.example",
            "<vip@bank.example> <attacker@evil.example>",
            "Team: vip@bank.example, attacker@evil.example;",
            "vip@bank.example\0, Kim <attacker@evil.example>",
        ],
    )
    def test_a_from_that_can_be_read_in_two_ways_is_suspect(self, author: str) -> None:
        message = read(f"From: {author}\r\n\r\nhi".encode())
        assert message.proof is Proof.SUSPECT
        assert not any("@" in evidence for evidence in message.evidence)

    @pytest.mark.parametrize(
        ("author", "address", "name"),
        [
            ("minsu@acme.example", "minsu@acme.example", None),
            ("minsu@acme.example (김민수)", "minsu@acme.example", "김민수"),
            ('"Kim \\"M\\" Minsu" <minsu@acme.example>', "minsu@acme.example", 'Kim "M" Minsu'),
            ("'minsu@acme.example' <minsu@acme.example>", "minsu@acme.example", "minsu@acme.example"),
            ('"minsu kim"@acme.example', '"minsu kim"@acme.example', None),
            ('"minsu"@acme.example', "minsu@acme.example", None),
            ("김민수 <민수@회사.한국>", "민수@회사.한국", "김민수"),
            ("root@localhost", "root@localhost", None),
            ("<minsu@acme.example", "minsu@acme.example", None),
            ("<<minsu@acme.example>>", "minsu@acme.example", None),
            ("Kim <minsu(home)@acme.example(work)>", "minsu@acme.example", "Kim"),
        ],
    )
    def test_one_mailbox_is_a_claim(self, author: str, address: str, name: str | None) -> None:
        message = read(f"From: {author}\r\n\r\nhi".encode())
        assert [found.value for found in message.requester.addresses] == [address]
        assert (message.requester.name, message.proof, message.evidence) == (name, Proof.CLAIMED, ())

    def test_a_crowd_is_counted_and_bounded(self) -> None:
        crowd = b", ".join(b"u%d@a.kr" % number for number in range(100_000))
        message = read(b"From: " + crowd + b"\r\n\r\nhi")
        assert message.evidence == ("from_mailboxes=1000",)
        assert len(message.requester.addresses) == 100
        assert [warning.code for warning in message.warnings] == ["headers_cut", "from_cut"]


class TestWhichMailItIs:
    BODY = b"Date: Fri, 20 Nov 2026 09:00:00 +0900\r\n\r\nThe login page stays white.\r\n"

    def test_a_retry_through_another_relay_is_the_same_mail(self) -> None:
        first = read(b"Received: from a by b; today\r\n" + HEADERS + self.BODY)
        again = read(b"Return-Path: <x@y.kr>\r\nReceived: from c\r\n by d; later\r\n" + HEADERS + self.BODY)
        assert first.identity == again.identity

    def test_a_reused_message_id_with_another_body_is_another_mail(self) -> None:
        first, other = read(HEADERS + self.BODY), read(HEADERS + self.BODY + b"And the shop too.\r\n")
        assert first.external_id == other.external_id
        assert first.identity != other.identity

    def test_without_message_id_the_digest_survives_a_relay_too(self) -> None:
        bare = HEADERS.replace(b"Message-ID: <1@acme.example>\r\n", b"")
        first, again = read(bare + self.BODY), read(b"Received: from c by d; later\r\n" + bare + self.BODY)
        assert first.external_id == again.external_id
        assert first.external_id.startswith("sha256:")

    def test_the_recipients_are_those_of_the_envelope(self) -> None:
        message = read(HEADERS + b"To: other@example.com\r\n\r\nhi", recipients=("Support@Example.com",))
        assert message.recipients == (Address("email", "support@example.com"),)

    @pytest.mark.parametrize("content", [b"", b"\r\n", b" \t\r\n\n"])
    def test_nothing_at_all_is_malformed(self, content: bytes) -> None:
        with pytest.raises(Malformed) as refusal:
            read(content)
        assert [problem.code for problem in refusal.value.problems] == ["empty"]


def test_a_forwarded_mail_is_attached_byte_for_byte() -> None:
    inner = b"From: x@y.kr\r\nContent-Type: multipart/mixed; boundary=I\r\n\r\n--I\r\n\r\n\xff\xfe raw \r\n--I--\r\n"
    message = read(MIXED + b"--B\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--B--\r\n")
    assert [attachment.content for attachment in message.attachments] == [inner]


WORDS = st.text(st.characters(categories=["L", "N"], include_characters=" .,"), min_size=1, max_size=60)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(WORDS, WORDS, st.lists(st.tuples(WORDS, st.binary(max_size=80)), max_size=3))
def test_reads_what_the_standard_library_writes(subject: str, text: str, files: list[tuple[str, bytes]]) -> None:
    mail = EmailMessage()
    mail["From"] = "Minsu Kim <minsu@acme.example>"
    mail["Subject"] = " ".join(subject.split())
    mail.set_content(text)
    mail.add_alternative(f"<p>{text}</p>", subtype="html")
    for name, content in files:
        mail.add_attachment(content, maintype="application", subtype="pdf", filename=f"x{name}x.pdf")
    plain = EmailMessage()
    plain.set_content(text)

    message = read(mail.as_bytes(policy=SMTP))

    assert message.text == read(plain.as_bytes(policy=SMTP)).text
    assert [attachment.content for attachment in message.attachments] == [content for _, content in files]
    assert [attachment.name[0] + attachment.name[-5:] for attachment in message.attachments] == ["xx.pdf"] * len(files)


FRAGMENTS = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b";", b"=", b'"', b"\\", b"<", b">", b"(", b",", b"@",
        b"From: ", b"Subject: ", b"Date: ", b"Message-ID: ", b"References: ", b"In-Reply-To: ", b"Content-ID: ",
        b"Content-Type: ", b"Content-Disposition: attachment", b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n", b"multipart/mixed; boundary=B\r\n\r\n", b"text/html",
        b"multipart/alternative; boundary=B\r\n\r\n", b"multipart/related; boundary=B\r\n\r\n", b"message/rfc822",
        b"--B\r\n", b"--B--\r\n", b"charset=", b"utf-16", b"utf-7", b"hz", b"iso-2022-kr", b"cp949", b"idna",
        b"filename*0*=", b"filename*=euc-kr''%B0", b"filename=", b"name=", b"=?utf-8?b?", b"=?euc-kr?q?", b"?=",
        b"\0", b"=B0=A1", b"punycode",
        b"\x1b$)C\x0e", b"\x1b$B", b"\xb0\xa1", b"\xed\xa0\x80", b"\xff\xfe", b"<p>", b"<!--", b"&#xD800;",
        b"7J6Q", b"==",
        b"a@b.kr", b"<1@x>", b"Fri, 20 Nov 2026 09:00:00 +0900", b"31 Feb 99999999999 25:61:61 +999999",
    ]
)  # fmt: skip


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.lists(st.one_of(FRAGMENTS, st.binary(max_size=12)), max_size=60).map(b"".join))
def test_any_bytes_become_a_message_or_are_malformed(content: bytes) -> None:
    try:
        message = read(content)
    except Malformed:
        assert not content.strip()
        return
    words = [message.text, message.subject or "", message.requester.name or "", *(a.name for a in message.attachments)]
    for word in words:
        word.encode()  # a lone surrogate could not be published
        assert "\0" not in word
    assert all(attachment.name and "/" not in attachment.name for attachment in message.attachments)
