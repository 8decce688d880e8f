"""Mail nobody should have to read, in any size: `TORTURE[name](size)` is about `size` bytes of it."""

import base64
import random
from collections.abc import Callable
from itertools import cycle, islice

HEADERS = b"From: Minsu Kim <minsu@acme.example>\r\nMessage-ID: <1@acme.example>\r\nSubject: Login page\r\n"
MIXED = HEADERS + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
HTML = HEADERS + b"Content-Type: text/html; charset=utf-8\r\n\r\n"
PLAIN = HEADERS + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"

_LABELS = (
    *("utf-7", "utf-16", "utf-32", "iso-2022-kr", "iso-2022-jp", "hz-gb-2312", "johab", "big5", "koi8-r", "idna"),
    *("x-nobody", "../../etc", "\x00", "zip", "rot13", "unicode_escape", "punycode", "base64"),
)


def header(line: bytes) -> bytes:
    return b"From: a@b.kr\r\n" + line + b"\r\n\r\nhi"


def filled(unit: bytes, size: int) -> bytes:
    return unit * max(1, size // len(unit))


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def parts(size: int, head: bytes, body: bytes = b"x") -> bytes:
    unit = b"--B\r\n" + head + b"\r\n\r\n" + body + b"\r\n"
    return MIXED + filled(unit, size) + b"--B--\r\n"


def charset_bomb(size: int) -> bytes:
    body = noise(max(1, size // 20))
    units = [b"--B\r\nContent-Type: text/plain; charset=%b\r\n\r\n%b\r\n" % (label.encode(), body) for label in _LABELS]
    return MIXED + b"".join(islice(cycle(units), max(1, size // len(units[0])))) + b"--B--\r\n"


def nested_multipart(size: int) -> bytes:
    unit = b"Content-Type: multipart/mixed; boundary=B%d-\r\n\r\n--B%d-\r\n"
    levels = max(2, size // 70)
    return HEADERS + b"".join(unit % (level, level) for level in range(levels)) + b"\r\nthe words\r\n"


def nested_messages(size: int) -> bytes:
    return HEADERS + filled(b"Content-Type: message/rfc822\r\n\r\n", size) + b"\r\nthe words"


def nested_digests(size: int) -> bytes:
    unit = b"Content-Type: multipart/digest; boundary=D%d-\r\n\r\n--D%d-\r\n\r\n"
    return HEADERS + b"".join(unit % (level, level) for level in range(max(2, size // 70)))


def delivery_report(size: int) -> bytes:
    head = b"Content-Type: multipart/report; report-type=delivery-status; boundary=R\r\n\r\n--R\r\n\r\nfailed\r\n"
    unit = (
        b"Final-Recipient: rfc822; a@b.kr\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no\r\n\r\n"
    )
    status = b"--R\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
    return HEADERS + head + status + filled(unit, size) + b"--R--\r\n"


def calendar(size: int) -> bytes:
    unit = b"BEGIN:VEVENT\r\nUID:1\r\nDTSTART:20261122T050000Z\r\nRRULE:FREQ=SECONDLY\r\nSUMMARY:x\r\nEND:VEVENT\r\n"
    whole = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n" + filled(unit, size) + b"END:VCALENDAR\r\n"
    return HEADERS + b"Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n" + whole


def zip_bomb(size: int) -> bytes:
    head = b"--B\r\nContent-Type: application/zip; name=bomb.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    local = b"PK\x03\x04" + b"\x14\0" * 3 + b"\0" * 8 + b"\xff\xff\xff\xff" * 2 + b"\x05\0\0\0bomb1"
    return MIXED + head + base64.encodebytes(filled(local, size * 3 // 4)) + b"--B--\r\n"


def path_tricks(size: int) -> bytes:
    names = (b"../../../etc/passwd", rb"..\\..\\boot.ini", b"/abs/olute", b"con.txt", b"a\0b.exe", b"x" * 900 + b".pdf",
             b"%2e%2e%2fx", "\u202egpj.exe".encode(), b"name.", b" ", b"*utf-8''..%2F..%2Fx")  # fmt: skip
    units = [b'--B\r\nContent-Disposition: attachment; filename="%b"\r\n\r\nx\r\n' % name for name in names]
    return MIXED + b"".join(islice(cycle(units), max(len(units), size // 150))) + b"--B--\r\n"


def quotes(size: int) -> bytes:
    lines = [b">" * depth + b" deep\r\n" for depth in range(1, 2 + int((2 * size) ** 0.5))]
    return PLAIN + b"new\r\n" + b"".join(lines)


def alternating_quotes(size: int) -> bytes:
    unit = b"On Mon, 5 Jan 2026 at 15:21, A <a@b.kr> wrote:\r\n> x\r\nmine\r\n"
    return PLAIN + filled(unit, size)


TORTURE: dict[str, Callable[[int], bytes]] = {
    "nothing but NULs": lambda size: b"\0" * size,
    "NULs everywhere": lambda size: HEADERS + b"X-Y: a\0b\r\n\r\n" + filled(b"a\0\0b\r\n", size),
    "noise": noise,
    "noise as text": lambda size: HEADERS + b"\r\n" + noise(size),
    "noise as HTML": lambda size: HTML + noise(size),
    "one line": lambda size: b"x" * size,
    "line ends": lambda size: b"\r\n" * (size // 2) + b"x",
    "bare returns": lambda size: HEADERS + b"\r\n" + b"\r" * size,
    "a long subject": lambda size: header(b"Subject: " + b"x" * size),
    "a subject of encoded words": lambda size: header(b"Subject: " + filled(b"=?utf-8?b?6rCA?= ", size)),
    "a subject of other charsets": lambda size: header(
        b"Subject: " + filled(b"=?koi8-r?q?=E0?= =?big5?q?=A4=40?= ", size)
    ),
    "a subject of broken words": lambda size: header(b"Subject: " + filled(b"=?utf-8?q?", size)),
    "a subject of question marks": lambda size: header(b"Subject: " + filled(b"=?a?b?", size)),
    "a folded header": lambda size: header(b"Subject: x" + filled(b"\r\n\ty", size)),
    "many headers": lambda size: header(filled(b"X-A: b\r\n", size) + b"Subject: x"),
    "many headers of one name": lambda size: header(filled(b"References: <a@b>\r\n", size) + b"Subject: x"),
    "many received": lambda size: header(filled(b"Received: from a by b\r\n", size) + b"Subject: x"),
    "headers without names": lambda size: filled(b": x\r\n", size) + b"\r\nhi",
    "headers without a colon": lambda size: filled(b"x y z\r\n", size),
    "spaces before a colon": lambda size: header(b"Subject" + b" " * size + b"x"),
    "many addresses": lambda size: header(b"To: " + filled(b"Name <a@b.kr>, ", size)),
    "many authors": lambda size: b"From: " + filled(b"Name <a@b.kr>, ", size) + b"\r\n\r\nhi",
    "an author of quotes": lambda size: b"From: " + filled(b'"\\"', size) + b" <a@b.kr>\r\n\r\nhi",
    "an author of brackets": lambda size: b"From: " + b"(" * size + b"\r\n\r\nhi",
    "an author of angles": lambda size: b"From: " + b"<" * size + b"a@b.kr\r\n\r\nhi",
    "an author of dots": lambda size: b"From: " + b"a." * (size // 2) + b"@" + b"b." * 100 + b"kr\r\n\r\nhi",
    "an author of at signs": lambda size: b"From: " + b"@" * size + b"\r\n\r\nhi",
    "an author of marks": lambda size: "From: a{} <a@b.kr>\r\n\r\nhi".format("\u0301" * (size // 2)).encode(),
    "reply to many": lambda size: header(b"Reply-To: " + filled(b"a@b.kr,", size)),
    "many references": lambda size: header(b"References: " + filled(b"<abc@def> ", size)),
    "references without an end": lambda size: header(b"References: " + b"<" * size),
    "a date without end": lambda size: header(b"Date: " + filled(b"Mon, 5 ", size)),
    "a date of brackets": lambda size: header(b"Date: " + b"(" * size),
    "content type of parameters": lambda size: header(b"Content-Type: text/plain" + filled(b"; a=b", size)),
    "content type of pieces": lambda size: header(
        b"Content-Type: text/plain" + b"".join(b"; name*%d*=%%41" % number for number in range(max(1, size // 14)))
    ),
    "content type of quotes": lambda size: header(b'Content-Type: text/plain; name="' + filled(rb"\"", size)),
    "content type of semicolons": lambda size: header(b"Content-Type: text/plain" + b";" * size),
    "content type of spaces": lambda size: header(b"Content-Type: text/plain; " + b" " * size + b"x"),
    "a long boundary": lambda size: (
        HEADERS + b"Content-Type: multipart/mixed; boundary=" + b"B" * size + b"\r\n\r\n--B"
    ),
    "many parts": lambda size: parts(size, b""),
    "many HTML parts": lambda size: parts(size, b"Content-Type: text/html", b"<b>x"),
    "many files": lambda size: parts(size, b'Content-Disposition: attachment; filename="x.pdf"'),
    "many calendars": lambda size: parts(size, b"Content-Type: text/calendar", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR"),
    "many winmails": lambda size: parts(size, b"Content-Type: application/ms-tnef; name=winmail.dat", b'x\x9f>"x'),
    "many messages": lambda size: parts(size, b"Content-Type: message/rfc822", HEADERS + b"\r\nx"),
    "many alternatives": lambda size: parts(size, b"Content-Type: text/html", b"<p>x</p>").replace(
        b"/mixed", b"/alternative"
    ),
    "delimiters that are none": lambda size: MIXED + b"--B\r\n\r\nx\r\n" + filled(b"--Bx\r\n", size),
    "delimiters alone": lambda size: MIXED + filled(b"--B\r\n", size),
    "no last delimiter": lambda size: MIXED + filled(b"--B\r\n\r\nx\r\n", size),
    "parts in parts": nested_multipart,
    "mails in mails": nested_messages,
    "digests in digests": nested_digests,
    "a report": delivery_report,
    "a calendar": calendar,
    "a calendar of one line": lambda size: (
        HEADERS + b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nX:" + b"x" * size
    ),
    "charset bomb": charset_bomb,
    "escape sequences": lambda size: PLAIN + filled(b"\x1b$)C\x0e\x1b(B\x1b$B", size),
    "utf-7": lambda size: HEADERS + b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + filled(b"+AGE-+", size),
    "marks": lambda size: PLAIN + b"e" + filled("\u0301\u0323".encode(), size),
    "marks on many": lambda size: PLAIN + filled(("e" + "\u0301\u0323" * 15).encode(), size),
    "hangul jamo": lambda size: PLAIN + filled("\u1112\u1161\u11ab".encode(), size),
    "bidi controls": lambda size: PLAIN + filled("\u202e\u2066".encode(), size),
    "surrogates": lambda size: PLAIN + filled(b"\xed\xa0\x80\xed\xb0\x80", size),
    "white space": lambda size: PLAIN + b"x" + b" " * size + b"x",
    "blank lines": lambda size: PLAIN + b"x" + b"\r\n \t" * (size // 4) + b"x",
    "unicode spaces": lambda size: PLAIN + b"x" + filled("\u2003\u3000".encode(), size) + b"x",
    "links": lambda size: PLAIN + filled(b"http://a.b/c?d=e ", size),
    "colons": lambda size: PLAIN + filled(b"From:\r\nSent:\r\n", size),
    "deep quotes": quotes,
    "quotes and answers": alternating_quotes,
    "wrote lines": lambda size: PLAIN + filled(b"On Mon, 5 Jan 2026, A\r\n", size),
    "one wrote line": lambda size: PLAIN + b"On " + filled(b"a wrote ", size),
    "signatures": lambda size: PLAIN + filled(b"-- \r\nx\r\n", size),
    "dashes": lambda size: PLAIN + b"-" * size,
    "underscores": lambda size: PLAIN + filled(b"____ ", size),
    "flowed": lambda size: (
        HEADERS + b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n" + filled(b"> x \r\n", size)
    ),
    "uuencoded": lambda size: PLAIN + filled(b"begin 644 a\r\n#0V%T\r\n", size),
    "divs": lambda size: HTML + filled(b"<div>", size),
    "divs with ends": lambda size: HTML + filled(b"<div>", size // 2) + filled(b"</div>", size // 2),
    "spans": lambda size: HTML + filled(b"<span><b>", size),
    "tables in tables": lambda size: HTML + filled(b"<table><tr><td>", size),
    "quotes in quotes": lambda size: HTML + filled(b"<blockquote type=cite>x", size),
    "lists in lists": lambda size: HTML + filled(b"<ul><li>x", size),
    "tags without an end": lambda size: HTML + filled(b"<a href=x ", size),
    "less-than signs": lambda size: HTML + b"<" * size,
    "attributes": lambda size: HTML + b"<p " + filled(b"a=b ", size) + b">x</p>",
    "one attribute": lambda size: HTML + b'<p title="' + b"x" * size,
    "styles": lambda size: HTML + filled(b"<style>a{b:url(http://c/d)}</style>", size),
    "scripts without an end": lambda size: HTML + filled(b"<script>", size),
    "comments": lambda size: HTML + filled(b"<!--", size),
    "comments with ends": lambda size: HTML + filled(b"<!---->", size),
    "conditional comments": lambda size: HTML + filled(b"<!--[if mso]>", size),
    "entities": lambda size: HTML + filled(b"&#x1F600;&amp;&nonsense;", size),
    "half entities": lambda size: HTML + filled(b"&#", size),
    "images": lambda size: HTML + filled(b"<img src=http://a/b>", size),
    "data images": lambda size: HTML + b'<img src="data:image/png;base64,' + b"A" * size + b'">',
    "formatting across blocks": lambda size: HTML + filled(b"<b><p></b>", size),
    "links in links": lambda size: HTML + filled(b"<a href=x>x", size),
    "svg": lambda size: HTML + filled(b"<svg><math>", size),
    "templates": lambda size: HTML + filled(b"<template>", size),
    "selects": lambda size: HTML + filled(b"<select><option>", size),
    "paragraphs": lambda size: HTML + filled(b"<p>x", size),
    "base64 garbage": lambda size: (
        HEADERS + b"Content-Transfer-Encoding: base64\r\n\r\n" + filled(b"ab!=\r\n\r\n=", size)
    ),
    "base64 of noise": lambda size: (
        HEADERS + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(noise(size))
    ),
    "quoted-printable garbage": lambda size: (
        HEADERS + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + filled(b"=Z=\r=4==\n", size)
    ),
    "quoted-printable equal signs": lambda size: (
        HEADERS + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * size
    ),
    "zip bomb": zip_bomb,
    "path tricks": path_tricks,
}
