"""What happens to a mail on its way through bad programs and worse people: every mutation from one random source."""

import base64
import quopri
import random
from collections.abc import Callable, Sequence

LARGEST = 96 * 1024
"""A mail does not grow beyond: time is better spent on more mails."""

TOKENS = (
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\t",
        b" ",
        b"=",
        b"=\r\n",
        b"==",
        b'"',
        b"\\",
        b'\\"',
        b";",
    ),
    *(b":", b",", b"<", b">", b"(", b")", b"@", b"<>", b"--", b"-- \r\n", b"> ", b">>>", b"\xff", b"\x80", b"\xc0\x80"),
    *(b"\x1b$)C\x0e", b"\x1b$B", b"\x1b(B", b"\x8e\xa1", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80"),
    *(b"=?utf-8?b?7Q==?=", b"=?euc-kr?q?=B0=A1?=", b"=?x?b?", b"=?utf-8?q?=ED=A0=80?=", b"=?utf-8?q?e=CC=81?=", b"?="),
    *(b"=?utf-7?q?+2AA-?=", b"=?utf-8?q?=E2=80=AEgpj.exe?=", b"=?utf-16?b?2AA=?=", b"=?us-ascii*ko?q?x?="),
    *(
        "\u0301".encode(),
        "\u202e".encode(),
        "\u2066".encode(),
        "\u200b".encode(),
        "\u1112\u1161".encode(),
        "\ufffe".encode(),
    ),
    *(b"Content-Type: ", b"multipart/mixed; boundary=", b"multipart/alternative; boundary=", b"message/rfc822"),
    *(b"multipart/related; boundary=", b"multipart/digest", b"text/html", b"text/plain; charset=", b"text/calendar"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"x-uuencode"),
    *(b"Content-Disposition: attachment; filename=", b"filename*0*=utf-8''%ED%A0", b"filename*=euc-kr''%B0", b"name="),
    *(
        b"utf-7",
        b"utf-16",
        b"iso-2022-kr",
        b"ks_c_5601-1987",
        b"johab",
        b"hz-gb-2312",
        b"idna",
        b"big5",
        b"unicode-1-1",
    ),
    *(
        b"From: ",
        b"Subject: ",
        b"Date: ",
        b"Message-ID: ",
        b"References: ",
        b"In-Reply-To: ",
        b"Reply-To: ",
        b"Sender: ",
    ),
    *(b"Auto-Submitted: auto-replied\r\n", b"List-Id: <a.b>\r\n", b"Return-Path: <>\r\n", b"X-Spam-Flag: YES\r\n"),
    *(
        b"multipart/report; report-type=delivery-status",
        b"message/delivery-status",
        b"Final-Recipient: rfc822; ",
        b"Status: 5.1.1",
    ),
    *(
        b"Action: failed\r\n",
        b"BEGIN:VCALENDAR\r\n",
        b"BEGIN:VEVENT\r\n",
        b"DTSTART;TZID=x:20261122T050000\r\n",
        b"END:VEVENT",
    ),
    *(
        b"application/ms-tnef; name=winmail.dat",
        b"\x78\x9f\x3e\x22",
        b"application/pkcs7-mime",
        b"-----BEGIN PGP MESSAGE-----",
    ),
    *(
        b"begin 644 x\r\n#0V%T\r\n`\r\nend\r\n",
        b"<div>",
        b"</div>",
        b"<blockquote>",
        b"<script>",
        b"<style>",
        b"<!--",
        b"]]>",
    ),
    *(
        b"<img src=http://a/b>",
        b"<a href='javascript:x'>",
        b"&#xD800;",
        b"&#0;",
        b"&#x202e;",
        b"&amp;amp;",
        b"<table><td>",
    ),
    *(
        b"On Mon, 5 Jan 2026 at 15:21, A <a@b.kr> wrote:\r\n",
        b"-----Original Message-----\r\n",
        b"From: a\r\nSent: b\r\n",
    ),
    *("2026년 1월 5일 (월) 오후 3:21, 홍길동 <a@b.kr>님이 작성:\r\n".encode(), "보낸 사람: a\r\n제목: b\r\n".encode()),
    *(
        b"Sent from my iPhone",
        b"---------- Forwarded message ---------\r\n",
        b"Tue, 99 Foo 99999 99:99:99 +9999",
        b"-0000",
    ),
)

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def flip(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    at = source.randrange(len(mail) or 1)
    return mail[:at] + bytes([source.randrange(256)]) + mail[at + 1 :]


def insert(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    at = source.randrange(len(mail) + 1)
    return mail[:at] + source.choice(TOKENS) * source.choice((1, 1, 1, 2, 40)) + mail[at:]


def insert_early(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    at = source.randrange(min(len(mail), 600) + 1)
    return mail[:at] + source.choice(TOKENS) + mail[at:]


def delete(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    at = source.randrange(len(mail) or 1)
    return mail[:at] + mail[at + source.choice((1, 2, 5, 50, 500)) :]


def repeat(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    at = source.randrange(len(mail) or 1)
    end = at + source.choice((1, 5, 50, 500))
    return mail[:end] + mail[at:end] * source.choice((1, 2, 30)) + mail[end:]


def truncate(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    return mail[: source.randrange(len(mail) + 1)]


def splice(mail: bytes, source: random.Random, others: Sequence[bytes]) -> bytes:
    other = source.choice(others)
    return mail[: source.randrange(len(mail) + 1)] + other[source.randrange(len(other) + 1) :]


def line_ends(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    bare = mail.replace(b"\r\n", b"\n")
    return bare.replace(b"\n", source.choice((b"\n", b"\r", b"\r\n", b"\r\r\n")))


def move_line(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    lines = mail.split(b"\n")
    line = lines.pop(source.randrange(len(lines)))
    lines.insert(source.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def repeat_header(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    head, gap, body = mail.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    return b"\r\n".join([*lines, source.choice(lines)]) + gap + body


def encode_body(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    head, _gap, body = mail.partition(b"\r\n\r\n")
    if source.random() < 0.5:
        return head + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(body)
    return head + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + quopri.encodestring(body)


def wrap(mail: bytes, source: random.Random, others: Sequence[bytes]) -> bytes:
    kind = source.choice((b"mixed", b"alternative", b"related", b"digest", b"report", b"signed", b"encrypted"))
    inner = source.choice((b"", b"Content-Type: message/rfc822\r\n\r\n"))
    head = b"From: a@b.kr\r\nContent-Type: multipart/" + kind + b"; boundary=W\r\n\r\n"
    return head + b"--W\r\n" + inner + mail + b"\r\n--W\r\n" + source.choice(others) + b"\r\n--W--\r\n"


def relabel(mail: bytes, source: random.Random, _: Sequence[bytes]) -> bytes:
    for word in (b"utf-8", b"base64", b"quoted-printable", b"text/plain", b"text/html", b"multipart/mixed", b"UTF-8"):
        if word in mail and source.random() < 0.5:
            return mail.replace(word, source.choice(TOKENS).strip() or b"x")
    return mail


MUTATIONS: tuple[Mutation, ...] = (
    *(flip, insert, insert, insert_early, insert_early, delete, repeat, truncate, splice, line_ends, move_line),
    *(repeat_header, encode_body, wrap, relabel),
)


def mutated(seeds: Sequence[bytes], source: random.Random) -> bytes:
    """One of the seeds after a few accidents."""
    mail = source.choice(seeds)
    for _ in range(source.choice((1, 1, 2, 3, 5, 8, 20))):
        mail = source.choice(MUTATIONS)(mail, source, seeds)[:LARGEST]
    return mail
