"""Pages of strangers as text: what a reader of the page sees, line by line."""

import pytest

from normalizers.html import html_to_text, parse_page
from normalizers.html.layout import lay_out


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>one</div><div>two<br>three</div>", "one\ntwo\nthree"),
        ("<div>one</div><div><br></div><div>two</div>", "one\n\ntwo"),
        ('<p class="MsoNormal">one</p><p class="MsoNormal">two</p>', "one\ntwo"),
        ('<p class="MsoNormal">one</p><p class="MsoNormal">&nbsp;</p><p class="MsoNormal">two</p>', "one\n\ntwo"),
        ("<p style='margin:0'>one</p><p style='margin:0'>two</p>", "one\ntwo"),
        ("<p style='margin:0.5em'>one</p><p style='margin:0.5em'>two</p>", "one\n\ntwo"),
        ("주문번호는<b>1042</b>입니다.", "주문번호는1042입니다."),
        ("a <b> b </b> c\n\n d", "a b c d"),
        ("<ul><li>one<li>two<ul><li>inner</ul></ul>after", "- one\n- two\n  - inner\n\nafter"),
        ("<ol><li><p>one</p></li><li><p>two</p></li></ol>", "1. one\n2. two"),
        ("<table border=1><tr><td>a<td>b<tr><td>c<td>d</table>", "a | b\nc | d"),
        ("<table><tr><th>a<th>b<tr><td>c<td>d</table>", "a | b\nc | d"),
        ("<table><tr><td>layout<td>only</table>", "layout only"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ('<a href="https://a.example/x">here</a>.', "here (https://a.example/x)."),
        ('<a href="https://www.a.example/x">a.example</a>', "a.example"),
        ('<a href="mailto:a@b.kr">Kim</a>', "Kim"),
        ('<a href="javascript:alert(1)">here</a>', "here"),
        ('<a href="https://">here</a>', "here"),
        ('<a href="https://a.example@b.example/">a.example</a>', "a.example (https://a.example@b.example/)"),
        (
            'fine <img alt="😀" src="https://a.example/1"> <img alt="shot.png" src="cid:2"> end',
            "fine 😀 [shot.png] end",
        ),
        ('<img alt="logo" src="https://a.example/1">hi', "hi"),
        ("<style>p{}</style><script>x()</script><p>seen</p><!-- not -->", "seen"),
        ('<div style="display: none">preview</div>seen', "seen"),
        ("<title>t</title>seen", "seen"),
        ("<blockquote>by the writer</blockquote>", "by the writer"),
        ("a\0b", "ab"),
        ("", ""),
        ("&lt;p&gt;", "<p>"),
    ],
)
def test_reads_like_the_page(page: str, text: str) -> None:
    assert html_to_text(page) == text


def test_quotes_and_rules_are_what_the_caller_says_they_are() -> None:
    tree = parse_page("<p>new</p><section><p>old</p><p>words</p><section>older</section></section><hr><p>end</p>")
    text = lay_out(tree, lambda element: "quote" if element.tag == "section" else "rule" if element.tag == "hr" else "")
    assert text == f"new\n\n> old\n>\n> words\n>\n> > older\n\n{'_' * 32}\n\nend"


@pytest.mark.parametrize("opening", ["<blockquote type=cite>", "<ul><li>"])
def test_what_is_nested_deeper_than_shown_keeps_its_words(opening: str) -> None:
    page = opening * 60 + "<br>".join(f"line {number}" for number in range(1000))
    text = lay_out(parse_page(page), lambda element: "quote" if element.tag == "blockquote" else "")
    assert [line.lstrip("> -") for line in text.split("\n") if line.strip("> -")][-1] == "line 999"
    assert max(map(len, text.split("\n"))) < 40


@pytest.mark.parametrize(
    "page",
    [
        "<a " + " ".join(f"a{number}=1" for number in range(200_000)) + ">words",
        "<a " + " ".join(f"a{number}='>'" for number in range(200_000)) + ">words",
        "<div>" * 50_000 + "words",
    ],
    ids=["attributes", "quoted attributes", "nested"],
)
def test_pages_no_parser_could_read_in_time_keep_their_words(page: str) -> None:
    assert parse_page(page) is None
    assert html_to_text(page).endswith("words")


def test_a_long_page_of_ordinary_tags_is_parsed() -> None:
    page = '<p class="a" style="margin:0">words</p>' * 20_000
    assert html_to_text(page).count("words") == 20_000
