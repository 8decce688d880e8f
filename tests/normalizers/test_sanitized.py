"""What of a mail's page is shown to the people who answer it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizers.email import MailPayload, normalize
from normalizers.html import parse_page
from normalizers.mail.sanitized import Pages
from normalizers.message import Message
from normalizers.notes import Notes

HEADERS = b"From: Minsu Kim <minsu@acme.example>\r\nMessage-ID: <1@acme.example>\r\nMIME-Version: 1.0\r\n"
DANGEROUS = re.compile(
    r"<\s*/?\s*(?:script|style|form|input|button|iframe|object|embed|svg|math|link|meta|base|template|textarea|video|audio)\b"
    r"|<[^>]*[\s/](?:on\w+|style|srcset|background|action|formaction|class|id|name)\s*="
    r"|<img[^>]*\ssrc=\"(?!cid:)",
    re.IGNORECASE,
)
TAG = re.compile(r"<[^<>]*>")  # the cleaner writes `&lt;` and `&gt;` everywhere else
LINK = re.compile(r'\s(?:href|src)="([^"]*)"')


def shown(page: str) -> str | None:
    pages = Pages()
    pages.add(parse_page(page))
    return pages.html(Notes())


def mail(page: bytes) -> Message:
    (message,) = normalize(MailPayload(content=HEADERS + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + page))
    return message


@pytest.mark.parametrize(
    ("page", "html"),
    [
        ("<p onclick=x() style='color:red' class=a id=b>hi</p>", "<p>hi</p>"),
        ("hi<script>x()</script><style>p{background:url(http://a.example/)}</style>", "hi"),
        ("<form action=/x>hi<input name=a><button>b</button></form>", "hib"),
        ("hi<iframe src=https://a.example></iframe><object data=x></object><svg onload=x()></svg>", "hi"),
        ('<a href="javascript:x()">hi</a>', '<a rel="noopener noreferrer nofollow">hi</a>'),
        ('<a href="data:text/html,x">hi</a>', '<a rel="noopener noreferrer nofollow">hi</a>'),
        ('<a href="/x">hi</a>', '<a rel="noopener noreferrer nofollow">hi</a>'),
        (
            '<a href="https://a.example/?a=1&amp;b=2" target=_top>hi</a>',
            '<a href="https://a.example/?a=1&amp;b=2" rel="noopener noreferrer nofollow">hi</a>',
        ),
        ('<a href="tel:+821012345678">hi</a>', '<a href="tel:+821012345678" rel="noopener noreferrer nofollow">hi</a>'),
        ('<img src="cid:logo@a" alt=logo>', '<img src="cid:logo@a" alt="logo">'),
        ('<img src="data:image/png;base64,AAAA" alt=logo>', '<img alt="logo">'),
        ('<table background="http://a.example/x.png" border=1><tr><td>hi', "<td>hi</td>"),
        ("<meta http-equiv=refresh content='0;url=https://a.example'><base href=https://a.example>hi", "hi"),
        ("<!-- <script>x()</script> -->hi", "hi"),
    ],
)
def test_nothing_runs_is_fetched_or_sent(page: str, html: str) -> None:
    assert html in (shown(page) or "")
    assert not DANGEROUS.search(shown(page) or "")


def test_remote_images_are_set_aside_with_their_place() -> None:
    message = mail(
        b'<img src="https://a.example/1.png?u=7"><img src="//b.example/2.gif"><img src="cid:3">'
        b'<img src="https://a.example/1.png?u=7" data-remote-image="99"><img src="file:///etc/passwd">'
        b'<img srcset="https://c.example/x.png 2x" alt="hi">'
    )
    assert message.mail is not None
    assert message.mail.remote_images == ("https://a.example/1.png?u=7", "https://b.example/2.gif")
    assert message.html == (
        '<img data-remote-image="0"><img data-remote-image="1"><img src="cid:3">'
        '<img data-remote-image="0"><img><img alt="hi">'
    )


def test_an_image_by_its_other_name_is_set_aside_too() -> None:
    message = mail(b"<p>hi</p><image src=http://tracker.example/t.gif>")
    assert message.html == '<p>hi</p><img data-remote-image="0">'
    assert message.mail is not None
    assert message.mail.remote_images == ("http://tracker.example/t.gif",)


def test_an_image_the_parser_did_not_see_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pages, "_set_aside", lambda self, image: None)
    assert shown(
        '<img src="http://tracker.example/t.gif" alt="x"><img src="CID:a"><a href="http://acme.example">y</a>'
    ) == ('<img alt="x"><img src="CID:a"><a href="http://acme.example" rel="noopener noreferrer nofollow">y</a>')


def test_the_hundred_and_first_remote_image_is_left_out() -> None:
    message = mail(b"".join(b'<img src="https://a.example/%d.png">' % number for number in range(101)))
    assert message.mail is not None
    assert len(message.mail.remote_images) == 100
    assert (message.html or "").endswith('<img data-remote-image="99"><img>')


@pytest.mark.parametrize(
    "page",
    [
        b"<div>" * 50_000 + b"hi" + b"</div>" * 50_000,
        b"<p>" + b"hi " * 200_000 + b"</p>",
        b"<p>hi</p>" + b" " * 2 * 1024 * 1024 + b"<p>end</p>",
        b"<p " + b" ".join(b"a%d=1" % number for number in range(5_000)) + b">hi</p>",
    ],
    ids=["nested", "long", "longer than is read", "attributes"],
)
def test_a_page_too_large_or_too_odd_is_not_shown_and_its_words_stay(page: bytes) -> None:
    message = mail(page)
    assert message.html is None
    assert "html_cut" in [warning.code for warning in message.warnings]
    assert message.text.startswith("hi")


def test_a_page_is_shown_beside_the_plain_words() -> None:
    message = mail_of(b"alternative", (b"plain", b"The words."), (b"html", b"<p>The <b>words</b>.</p>"))
    assert (message.text, message.html) == ("The words.", "<p>The <b>words</b>.</p>")


def test_what_is_shown_leaves_no_words_out() -> None:
    message = mail_of(b"mixed", (b"plain", b"Before & above."), (b"html", b"<p>Between.</p>"), (b"plain", b"After."))
    assert message.text == "Before & above.\n\nBetween.\n\nAfter."
    assert message.html == "<p>Before &amp; above.</p>\n<p>Between.</p>\n<p>After.</p>"


def test_the_same_words_twice_are_shown_once() -> None:
    message = mail_of(b"mixed", (b"plain", b"The words."), (b"html", b"<p>The <b>words</b>.</p>"))
    assert (message.text, message.html) == ("The words.", "<p>The <b>words</b>.</p>")


def test_plain_mail_has_no_page() -> None:
    message = mail_of(b"mixed", (b"plain", b"<p>no page</p>"), (b"plain", b"more"))
    assert (message.html, message.warnings) == (None, ())


def mail_of(kind: bytes, *parts: tuple[bytes, bytes]) -> Message:
    body = b"".join(b"--B\r\nContent-Type: text/%s\r\n\r\n%s\r\n" % part for part in parts)
    content = HEADERS + b"Content-Type: multipart/%s; boundary=B\r\n\r\n" % kind + body + b"--B--\r\n"
    (message,) = normalize(MailPayload(content=content))
    return message


PIECES = st.sampled_from(
    "<img src= <a href= <svg <math <mtext> <style> </style> <script> </script> <!-- --> <![CDATA[ ]]> javascript: "
    "data:text/html, https://a.example/ cid:1 onerror=x() style=x > \" ' / = ` &lt; &#x6a; &quot; <table> <td> <p> "
    "<noscript> <textarea> <title> <xmp> <plaintext> <template> </p> \0 \t é".split(" ")
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_combination_of_odd_pieces_gets_through(page: str) -> None:
    html = shown(page) or ""
    assert not DANGEROUS.search(html)
    assert all(link.startswith(("https://", "cid:")) for tag in TAG.findall(html) for link in LINK.findall(tag))
    again = shown(html) or ""
    assert not DANGEROUS.search(again)
