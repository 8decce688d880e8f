"""What was said, apart from what is quoted under it: every known case exactly, the held-out ones counted."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizers.email import MailPayload, normalize
from normalizers.mail.flowed import unflow
from normalizers.mail.quotes import markers
from normalizers.mail.said import Said, said
from normalizers.text import clean_text
from tests.normalizers.quote_cases import Case, Figures, cases, figures, tidy

GUIDE = Path(__file__).parents[2] / "docs" / "mail-clients.md"
CLIENTS = {
    "gmail": "Gmail", "outlook": "Outlook (desktop)", "outlook-web": "Outlook (web)",
    "outlook-ios": "Outlook (iOS, Android)",
    "apple": "Apple Mail", "naver": "Naver", "daum": "Daum", "kakao": "Kakao", "samsung": "Samsung", "yahoo": "Yahoo",
    "thunderbird": "Thunderbird", "zoho": "Zoho", "other": "others",
}  # fmt: skip
KINDS = {"attribution": "line", "header": "block", "separator": "dashes", "signature": "signature"}
KNOWN, HELD_OUT, OUTSIDE = cases("known"), cases("held-out"), cases("outside")


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: case.client)
def test_known_cases_are_split_exactly(case: Case) -> None:
    assert tidy(case.result.text.split("\n")) == tidy(case.lines("new", "context"))


@pytest.mark.parametrize(
    "case", [*KNOWN, *HELD_OUT, *OUTSIDE], ids=lambda case: f"{case.path.parent.name}/{case.client}"
)
def test_nothing_new_is_ever_lost(case: Case) -> None:
    left = set(tidy(case.result.text.split("\n")))
    assert [line for line in tidy(case.lines("new")) if line not in left] == []
    assert (case.result.full or case.result.text) == case.words


def test_held_out_cases_are_split_as_well() -> None:
    found = figures(HELD_OUT)
    assert found.kept == 1, str(found)
    assert found.leaked <= 0.02, str(found)
    assert found.exact >= 0.95, str(found)


def test_cases_of_somebody_else_are_split_as_well() -> None:
    found = figures(OUTSIDE)
    assert found.kept == 1, str(found)
    assert found.leaked <= 0.02, str(found)
    assert found.exact >= 0.95, str(found)


def test_there_is_a_case_of_every_client_and_language() -> None:
    there = {case.client for case in [*KNOWN, *HELD_OUT]}
    for client in ("gmail", "outlook", "outlook-web", "outlook-ios", "apple", "samsung", "yahoo", "thunderbird"):
        for language in ("en", "ko", "ja", "zh-hans", "zh-hant", "de", "fr", "es"):
            assert f"{client}-{language}" in there
    assert {"naver-ko", "naver-en", "daum-ko", "kakao-ko"} <= there


def test_signatures_are_kept_apart() -> None:
    some = [case for case in [*KNOWN, *HELD_OUT] if case.lines("signature")]
    assert len(some) > 40
    for case in some:
        assert tidy((case.result.signature or "").split("\n")) == tidy(case.lines("signature")), case.client


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ("hello", Said(text="hello")),
        ("", Said(text="")),
        ("> hello", Said(text="> hello")),
        ("-- \nKim", Said(text="-- \nKim")),
        ("hello\n-- \nKim", Said(text="hello", full="hello\n-- \nKim", signature="-- \nKim")),
        ("hello\n\n> you wrote", Said(text="hello", full="hello\n\n> you wrote")),
        ("the log:\n\n> line", Said(text="the log:\n\n> line")),
        ("a\n--\nb\n--\nc", Said(text="a\n--\nb\n--\nc")),
        ("Sent from my iPhone", Said(text="Sent from my iPhone")),
    ],
)
def test_in_doubt_everything_is_new(words: str, result: Said) -> None:
    assert said(words, reply=True) == result


def test_quoted_lines_at_the_end_are_cut_only_from_an_answer() -> None:
    assert said("hello\n\n> you wrote").text == "hello\n\n> you wrote"
    assert said("hello\n\n> you wrote", reply=True).text == "hello"


@pytest.mark.parametrize(
    "words",
    [
        "> x\n" * 20_000, "1:\n" * 25_000, "1 a@b.kr:\n> x\n" * 5_000, "On 1 wrote:\n" * 10_000, "From: a\n" * 10_000,
        "> \n--\n" * 15_000, ">\n__\n" * 15_000, "-----\n" * 15_000, "Begin forwarded message:\n\n" * 4_000,
        "On 1 " + "a " * 120_000 + "wrote:", "\n" * 250_000 + "x", "Sent from my iPhone\n>\n" * 5_000,
        f"{'_' * 32}\nA: b@c\n" * 3_000,
    ],
    ids=range(13),
)  # fmt: skip
def test_hostile_lines_are_read_once(words: str) -> None:
    """Quadratic work over any of these would take minutes."""
    assert said(words, reply=True).text


LINES = st.lists(
    st.sampled_from(
        [
            "From: the start", "", "words", "more words:", "> quoted", ">> deeper", ">", "-- ", "--", "-----", "_" * 32,
            "Kim",
            "On Fri, Jan 5, 2024 at 3:21 PM Jane Roe <jane@acme.example> wrote:", "On Monday I wrote:",
            "2024년 1월 5일 (금) 오후 3:21, 김민수 <minsu@acme.example>님이", "작성:", "-----Original Message-----",
            "From: Jane Roe <jane@acme.example>", "Sent: Friday, January 5, 2024 3:21 PM", "To: support@example.com",
            "Subject: Login", "Begin forwarded message:", "Sent from my iPhone", "see my answers below",
        ]
    ),
    max_size=14,
)  # fmt: skip


@given(LINES, st.booleans())
def test_only_the_end_is_ever_cut(lines: list[str], reply: bool) -> None:
    words = clean_text("\n".join(lines))
    result = said(words, reply=reply)
    assert words.startswith(result.text)
    assert bool(result.text.strip()) == bool(words.strip())
    assert result.full == (None if result.text == words else words)
    assert result.signature is None or result.signature in words


@given(LINES.filter(lambda lines: not any("@" in line or "-" in line for line in lines)), st.booleans())
def test_words_under_quoted_lines_keep_everything(lines: list[str], reply: bool) -> None:
    words = "\n".join([*lines, "", "> quoted", "", "an answer"])
    assert said(words, reply=reply).text == words


ROWS = [(kind, row) for kind, rows in markers.table().items() for row in rows]


@pytest.mark.parametrize(("kind", "row"), ROWS, ids=[f"{kind}-{row['language']}" for kind, row in ROWS])
def test_every_row_reads_its_example(kind: str, row: dict[str, str]) -> None:
    example = row["example"]
    header = next(
        other["example"] for other in markers.table()["header"] if other["language"] in (row["language"], "en")
    )
    match kind:
        case "attribution":
            assert said(f"new\n\n{example}\n\n> old").text == "new"
        case "header":
            assert said(f"new\n\n{example}\n\nold").text == "new"
        case "separator":
            assert said(f"new\n\n{example}\n\n{header}\n\nold").text == "new"
            assert said(f"new\n\n{example}\n\nold").text == (
                "new" if not row.get("bare") else f"new\n\n{example}\n\nold"
            )
        case "signature" | "disclaimer":
            assert said(f"new\n\n{example}").signature == example
        case "below":
            assert said(f"{example}\n\n{header}\n\nold").full is None
        case _:
            raise AssertionError(f"nobody reads [[{kind}]]")


def test_every_pattern_of_the_table_is_one() -> None:
    for row in markers.table()["signature"]:
        for line in row["lines"]:
            assert markers.pattern_of(line)
    with pytest.raises(KeyError):
        markers.pattern_of("On {day} wrote:")


@pytest.mark.parametrize(
    ("text", "del_sp", "words"),
    [
        ("one \r\ntwo\r\nthree", False, "one two\nthree"),
        ("한국 \n어", True, "한국어"),
        ("> quoted \n> on\n>> deeper \nnew", False, "> quoted on\n>> deeper \nnew"),
        ("words \n-- \nKim", False, "words \n-- \nKim"),
        (" >stuffed\n From here", False, ">stuffed\nFrom here"),
        ("one\n\ntwo \n", False, "one\n\ntwo "),
        ("", False, ""),
    ],
)
def test_flowed_lines_are_joined(text: str, del_sp: bool, words: str) -> None:
    assert unflow(text, del_sp=del_sp) == words


def test_a_flowed_mail_reads_as_it_was_written() -> None:
    headers = b"From: a@b.kr\r\nIn-Reply-To: <1@b.kr>\r\nContent-Type: text/plain; format=flowed; delsp=yes\r\n\r\n"
    (message,) = normalize(MailPayload(content=headers + "주문 \r\n번호입니다.\r\n\r\n> old \r\n> words\r\n".encode()))
    assert (message.text, message.text_full) == ("주문번호입니다.", "주문번호입니다.\n\n> oldwords")


def test_the_guide_says_what_the_table_and_the_cases_say(request: pytest.FixtureRequest) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    current = filled(
        filled(guide, "table", table_of_clients()),
        "figures",
        shown(figures(KNOWN), figures(HELD_OUT), figures(OUTSIDE)),
    )
    if request.config.getoption("--golden"):
        GUIDE.write_text(current, encoding="utf-8", newline="\n")
    assert GUIDE.read_text(encoding="utf-8") == current, "pytest tests/normalizers/test_quotes.py --golden"


def filled(guide: str, name: str, content: str) -> str:
    section = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    assert section.search(guide), f"{GUIDE.name} has no place for its {name}"
    return section.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", guide)


def shown(known: Figures, held_out: Figures, outside: Figures) -> str:
    return f"- known: {known}\n- held out: {held_out}\n- outside: {outside}"


def table_of_clients() -> str:
    """One row per client, one column per language; what is recognised, in the order of KINDS."""
    languages = list(dict.fromkeys(row["language"] for kind, row in ROWS if kind in KINDS))
    lines = [f"| | {' | '.join(languages)} |", "|---" * (len(languages) + 1) + "|"]
    for client, name in CLIENTS.items():
        cells = [
            ", ".join(
                word
                for kind, word in KINDS.items()
                if any(client in row["clients"] and row["language"] == language for row in markers.table()[kind])
            )
            for language in languages
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    assert {client for kind, row in ROWS if kind in KINDS for client in row["clients"]} == set(CLIENTS)
    return "\n".join(lines)
