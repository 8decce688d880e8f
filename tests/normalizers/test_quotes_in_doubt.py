"""What looks like a quote to a program and is somebody's own words."""

import pytest

from normalizers.mail.said import Said, said


@pytest.mark.parametrize(
    "words",
    [
        "hello\n\nOn March 4 Jane Roe (jane@acme.example) wrote:\nI will call.\n\nShe never did.",
        "hello\n\nAm 4. März schrieb Jane Roe <jane@acme.example>:\nIch rufe an.\n\nNichts.",
        "My settings\n\nFrom: me@acme.example\nTo: you@acme.example\nSubject: Test\n\nThat failed.",
        "I filled in\nName: Tom\nFrom: tom@acme.example\nDate: 9 March, 10:00\nTo: Seoul\nSubject: lamps\n\nWell?",
        "안녕하세요\n\n발신: 부산 010@acme.example\n수신: 서울\n제목: 소포\n\n운송장 번호는 123 입니다.",
        "hello\n-- \nTom Reed\n\nP.S. my order is 88",
        "hello\n-- \n김민수\n\n추신: 주문 번호는 88",
        "I see\n\n--\n2.43.0\n\nCan you mend it?",
        "The label\n\n-----\nFrom: A, a@acme.example\nDate: 9 March 9:00\nTo: B\nSubject: lamps\n-----\n\nTwice.",
        "Hello\n\nOn 4 March 2026 at 14:15 your agent Jane Roe <jane@acme.example> wrote:\n\nI will.\n\nShe did not.",
        "On 4 March Jane Roe <jane@acme.example> wrote:\nI will.\n\nNo!\n\n> an arrow",
        "Antworten in Rot\n\nAm 4.3.26 um 14:15 schrieb Jane Roe <jane@acme.example>:\n\n> Welche?\n> Diese.",
        "Antworten unten\n\nAm 4.3.26 um 14:15 schrieb Jane Roe <jane@acme.example>:\n\nWelche?\nDiese.",
    ],
    ids=range(13),
)  # fmt: skip
def test_what_only_looks_like_a_quote_stays(words: str) -> None:
    assert said(words) == Said(text=words)


def test_lines_with_arrows_are_quotes_only_where_nothing_else_stands_between_them() -> None:
    words = "two things\n> an arrow\nand\n> another"
    assert said(words, reply=True).text == words
    assert said("one thing\n\n> old\n\n> older", reply=True).text == "one thing"
