"""Which parts of a mail are its words: whatever a program packs them into, none that somebody wrote are missing."""

import pytest

from normalizers.email import MailPayload, normalize
from normalizers.message import Message

HEAD = "From: Minsu Kim <minsu@acme.example>\nMessage-ID: <1@acme.example>\nMIME-Version: 1.0\n"
PICTURE = "Content-Type: image/png\nContent-ID: <i>\nContent-Transfer-Encoding: base64\n\naGVsbG8="
CALENDAR = (
    "Content-Type: text/calendar; method=REPLY\n\nBEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REPLY\nBEGIN:VEVENT\n"
    "SUMMARY:Lunch\nDTSTART:20260304T120000Z\nCOMMENT:not before one\nEND:VEVENT\nEND:VCALENDAR"
)


def several(kind: str, *parts: str, boundary: str = "B") -> str:
    content = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{content}--{boundary}--\n"


def plain(words: str, more: str = "") -> str:
    return f"Content-Type: text/plain; charset=utf-8{more}\n\n{words}"


def page(html: str, more: str = "") -> str:
    return f"Content-Type: text/html; charset=utf-8{more}\n\n{html}"


def read(mail: str) -> Message:
    (message,) = normalize(MailPayload(content=(HEAD + mail).encode()))
    return message


@pytest.mark.parametrize(
    ("mail", "text"),
    [
        (
            several("alternative", plain("This needs an HTML viewer."), page("<p>Order 88 is broken, what now?</p>")),
            "This needs an HTML viewer.\n\nOrder 88 is broken, what now?",
        ),
        (several("alternative", plain("Hello"), page("<p>Hello</p><p>Order 88 broke</p>")), "Hello\n\nOrder 88 broke"),
        (several("alternative", plain("주문 88 \n깨졌어요"), page("<p>주문 88 깨졌어요</p>")), "주문 88 \n깨졌어요"),
        (several("alternative", plain("one"), plain("two")), "one\n\ntwo"),
        (several("alternative", plain("one"), plain("one"), page("<p>one</p>")), "one"),
        (
            several("alternative", plain("one"), several("mixed", page("<p>one</p>"), plain("two"), boundary="C")),
            "one\n\ntwo",
        ),
        (several("related", PICTURE, page("<p>words</p>")), "words"),
        (several('related; start="<r>"', page("<p>frame</p>"), page("<p>words</p>", "\nContent-ID: <r>")), "words"),
        (several("mixed", plain("words", "; name=text_0.txt"), PICTURE), "words"),
        (plain("words", "\nContent-Disposition: attachment"), "words"),
        (several("mixed", page("<p>words</p>", "; name=body.html"), PICTURE), "words"),
        (several("mixed", plain("words"), plain("a log", "; name=a.log")), "words"),
        (
            several("alternative", plain("Yes"), CALENDAR),
            "Yes\n\nReply to an invitation: Lunch\nWhen: 2026-03-04 12:00 (UTC)\n\nnot before one",
        ),
        (
            several("alternative", plain("Lunch, 12:00? No, not before one"), CALENDAR),
            "Lunch, 12:00? No, not before one",
        ),
        (
            several("alternative", plain("About Lunch"), CALENDAR),
            "About Lunch\n\nReply to an invitation: Lunch\nWhen: 2026-03-04 12:00 (UTC)\n\nnot before one",
        ),
    ],
    ids=range(15),
)  # fmt: skip
def test_words_are_read_wherever_they_are(mail: str, text: str) -> None:
    assert read(mail).text == text


def test_a_file_that_is_read_as_the_words_stays_a_file() -> None:
    (file,) = read(several("mixed", plain("words", "; name=text_0.txt"))).attachments
    assert (file.name, file.content) == ("text_0.txt", b"words")


def test_every_page_of_the_better_rendition_is_shown_and_none_of_a_worse_one() -> None:
    around_a_file = several("mixed", page("<p>one</p>"), PICTURE, page("<p>two</p>"), boundary="C")
    assert read(several("alternative", plain("one two"), around_a_file)).html == "<p>one</p>\n<p>two</p>"
    message = read(several("alternative", plain("one"), page("<i>one</i>"), page("<b>one</b>")))
    assert (message.text, message.html) == ("one", "<b>one</b>")
    assert read(several("alternative", page("<i>one</i>"), page("<b>one</b>"))).html == "<b>one</b>"
