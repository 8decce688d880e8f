import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normalizers.filenames import LONGEST, clean_filename
from normalizers.text import _COMMON, clean_line, clean_text, compose, cut_utf8, find_email


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("  one\r\n two\t\tthree  ", "one two three"),
        ("a\0b\x07c", "ab c"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        (unicodedata.normalize("NFD", "한글"), "한글"),
        ("lone \ud83d surrogate", "lone \ufffd surrogate"),
        ("abc   def", "abc d"),
    ],
)
def test_clean_line(value: str, line: str) -> None:
    assert clean_line(value, 5 if value.startswith("abc ") else 100) == line


def test_clean_text() -> None:
    assert clean_text("a\r\nb\rc\x85d\te\0\x1b[0m\x9b \ud800\n \n") == "a\nb\nc\nd\te[0m \ufffd"


def test_what_clean_text_lets_through_unread_needs_no_reading() -> None:
    everything = [chr(n) for n in range(0x110000)]
    pairs = [parts for parts in (unicodedata.decomposition(one).split() for one in everything) if len(parts) == 2]
    second_of_a_pair = {chr(int(second, 16)) for first, second in pairs if not first.startswith("<")}
    jamo = {chr(n) for n in range(0x1100, 0x1200)}  # these compose by rule, not by table
    common = {one for one in everything if _COMMON.fullmatch(one)}
    assert {"a", "é", "가", "字", "ん", "\n", "…", "！", "😀"} <= common
    assert not common & (second_of_a_pair | jamo)
    assert all(unicodedata.is_normalized("NFC", one) and not unicodedata.combining(one) for one in common)
    assert {one for one in common if unicodedata.category(one) in {"Cc", "Cs"}} == {"\n"}


def test_an_ordinary_line_among_strange_ones_reads_the_same() -> None:
    for text in ("영수증이 두 번 결제됐어요.\n확인 부탁 😀 ", "naïve “café” …", "カタカナと全角！\t"):
        assert clean_text(text) == clean_text(text + "\0")


def test_a_tower_of_combining_marks_is_lowered_in_linear_time() -> None:
    tower = "a" + "\u0315\u0300" * 500_000
    assert len(compose(tower)) <= 31


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_compose_is_nfc_for_any_ordinary_text(text: str) -> None:
    assert compose(text) == unicodedata.normalize("NFC", text)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(max_size=50), st.integers(0, 210))
def test_cut_utf8_keeps_whole_characters(text: str, limit: int) -> None:
    short, cut = cut_utf8(text, limit)
    assert text.startswith(short)
    assert cut == (len(text.encode()) > limit)
    assert limit - 3 <= len(short.encode()) <= limit if cut else short == text


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (" Minsu@ACME.example ", "minsu@acme.example"),
        ("홍길동@회사.한국", "홍길동@회사.한국"),
        ("a+b.c_d@mail.acme.co.kr", "a+b.c_d@mail.acme.co.kr"),
        ("minsu", None),
        ("minsu@acme", None),
        ("a b@acme.example", None),
        ("a@acme.example, b@acme.example", None),
        ("<a@acme.example>", None),
        ("a@b@acme.example", None),
        ("a..b@acme.example", None),
        (".a@acme.example", None),
        ("a@acme..example", None),
        ("a@-acme.example", None),
        ("a@acme.example\u202e", None),
        ("a\0@acme.example", None),
        ("\ud800@acme.example", None),
        ("a" * 250 + "@acme.example", None),
        ("", None),
    ],
)
def test_find_email(value: str, address: str | None) -> None:
    assert find_email(value) == address


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("영수증 2026.pdf", "영수증 2026.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\minsu\\report.doc", "report.doc"),
        ("a\u202etxt.exe", "atxt.exe"),
        ('a<b>:"c|d?e*.txt', "a_b___c_d_e_.txt"),
        ("..", ""),
        ("/", ""),
        ("\r\n", ""),
        ("가" * 300 + ".tar", "가" * 83 + ".tar"),  # of at most 255 bytes
        ("x" * 300, "x" * LONGEST),
    ],
)
def test_clean_filename(value: str, name: str) -> None:
    assert clean_filename(value) == name


def test_what_a_bidi_control_kept_apart_is_composed_without_it():
    assert clean_line("제모\u202e\u11a8", 100) == "제목"
