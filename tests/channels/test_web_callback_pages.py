"""The callback page as people meet it: what it offers, what it says is wrong, and what it promises."""

import re
import tomllib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from channels import web_callback
from channels.api import Outcome, Receipt, Reference
from channels.web_callback import promises
from normalizers.identities import FIELD
from normalizers.web_callback import LIMITS, find_zone
from tests.channels.form_door import PATH, FormDoor, Page
from tests.channels.web_callback_door import GOOD, NOW, open_form

TEXTS = {
    path.stem: tomllib.loads(path.read_text("utf-8"))
    for path in (Path(web_callback.__file__).parent / "texts").iterdir()
}
LATER = {"window_start": "2026-11-21T14:00", "window_end": "2026-11-21T16:00"}
WRONG: Mapping[str, dict[str, str]] = {
    "name_too_long": {"name": "n" * (LIMITS["name"] + 1)},
    "country_invalid_country": {"country": "XX"},
    "phone_required": {"phone": " "},
    "phone_invalid_phone": {"phone": "공일공-1234-5678"},
    "phone_premium_rate": {"phone": "060-700-1234"},
    "phone_too_long": {"phone": "010-1234-5678, " * 5},
    "topic_required": {"topic": "\n"},
    "topic_too_long": {"topic": "t" * (LIMITS["topic"] + 1)},
    "window_start_required": {"window_end": "2026-11-21T14:00"},
    "window_start_invalid_time": {**LATER, "window_start": "soon"},
    "window_start_no_such_time": {
        "timezone": "America/New_York",
        "window_start": "2027-03-14T02:30",
        "window_end": "2027-03-14T04:00",
    },
    "window_start_in_past": {"window_start": "2026-11-19T14:00", "window_end": "2026-11-19T16:00"},
    "window_start_too_far": {"window_start": "2026-12-24T14:00", "window_end": "2026-12-24T16:00"},
    "window_end_required": {"window_start": "2026-11-21T14:00"},
    "window_end_invalid_time": {**LATER, "window_end": "2026-11-21"},
    "window_end_no_such_time": {
        "timezone": "America/New_York",
        "window_start": "2027-03-14T01:30",
        "window_end": "2027-03-14T02:30",
    },
    "window_end_ends_before_start": {**LATER, "window_end": "2026-11-21T13:00"},
    "window_end_window_too_long": {**LATER, "window_end": "2026-11-22T14:01"},
    "window_end_too_far": {"window_start": "2026-12-04T11:00", "window_end": "2026-12-04T12:01"},
    "timezone_required": {**LATER, "timezone": ""},
    "timezone_invalid_timezone": {"timezone": "Mars/Base"},
    "email_invalid_email": {"email": "jane at initech"},
}


@pytest.fixture
async def form() -> AsyncIterator[FormDoor]:
    async with open_form() as door:
        yield door


async def page_of(form: FormDoor, query: str = "", **headers: str) -> Page:
    return Page(await (await form.get(query, **headers)).text())


def ticket(**told: Any) -> Receipt:
    return Receipt(outcome=Outcome.ACCEPTED, references=(Reference(id="i-1", reference="T-7K3M-9QXR", **told),))


async def sent(form: FormDoor, language: str = "en", **fields: str) -> Page:
    answer = await form.submit({**GOOD, **fields}, f"?lang={language}")
    assert answer.status == 303
    return await page_of(form, answer.headers["Location"])


@pytest.mark.parametrize(("language", "title"), [("ko", "전화 상담 요청"), ("en", "Ask us to call you")])
async def test_the_page_is_in_the_reader_s_language(form, language, title):
    page = await page_of(form, **{"Accept-Language": language})
    assert page.words["h1"] == title
    assert (page.values["country"], page.values["timezone"]) == ("KR", "Asia/Seoul")
    assert set(page.values) == {*LIMITS} - {FIELD}


async def test_korea_is_first_for_koreans(form):
    page = await page_of(form, "?lang=ko")
    assert (page.options["country"][0], page.options["timezone"][0]) == ("KR", "Asia/Seoul")


async def test_everything_works_without_a_script_and_none_is_inline(form):
    html = (await page_of(form)).html
    assert re.findall(r"<script[^>]*>[^<]*</script>", html) == re.findall(
        r'<script type="module" src="[^"]+"></script>', html
    )
    assert not re.search(r"<style|\sstyle=|\son\w+=", html)


async def test_what_the_page_links_to_is_there(form):
    links = re.findall(r'(?:href|src)="(contact/assets/[^"]+)"', (await page_of(form)).html)
    types = {(await form.client.get(f"/channels/{link}")).content_type for link in links}
    assert types == {"text/css", "image/svg+xml", "text/javascript"}


@pytest.mark.parametrize("name", ["adapter.py", "..%2Fadapter.py", "%2Fetc%2Fpasswd", "zone.js%00"])
async def test_no_other_file_is_served(form, name):
    assert (await form.client.get(f"{PATH}/assets/{name}")).status == 404


async def test_the_script_guesses_only_for_a_page_nobody_has_filled_in(form):
    wrong = Page(await (await form.submit({**GOOD, "phone": "", "timezone": "Europe/Paris"})).text())
    assert (await page_of(form)).attributes["timezone"]["data-guess"] == "Asia/Seoul"
    assert "data-guess" not in wrong.attributes["timezone"]
    assert wrong.values["timezone"] == "Europe/Paris"


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("code", WRONG)
async def test_an_error_is_said_above_and_beside_its_field(form, language, code):
    answer = await form.submit({**GOOD, **WRONG[code]}, f"?lang={language}")
    page = Page(await answer.text())
    field = next(name for name in sorted(LIMITS, key=len, reverse=True) if code.startswith(f"{name}_"))
    words = TEXTS[language]["problems"][code].format(limit=f"{LIMITS[field]:,}")
    assert answer.status == 422
    assert page.words[f"#{field}"] == page.words[f"#{field}-error"] == words
    assert page.html.index('class="summary"') < page.html.index("<h1>")
    assert page.words["title"].startswith({"ko": "오류: ", "en": "Error: "}[language])
    assert page.attributes[field]["aria-invalid"] == "true"
    assert f"{field}-error" in (page.attributes[field]["aria-describedby"] or "").split()


def test_every_error_of_a_field_has_been_seen():
    fields = tuple(f"{field}_" for field in LIMITS)
    for texts in TEXTS.values():
        assert {key for key in texts["problems"] if key.startswith(fields)} == set(WRONG)


def test_both_languages_have_the_same_texts():
    korean, english = (
        {(section, key) for section, words in texts.items() if isinstance(words, dict) for key in words}
        for texts in (TEXTS["ko"], TEXTS["en"])
    )
    assert korean == english


def test_every_zone_on_offer_is_one():
    assert all(find_zone(name) for texts in TEXTS.values() for name in texts["zones"])


async def test_what_was_typed_comes_back_as_text(form):
    typed = {
        "name": '"><script>alert(1)</script>',
        "country": '"><b>',
        "phone": "' autofocus onfocus='x",
        "topic": "\n  </textarea><script>alert(2)</script>\n끝",
        "window_start": "<2026>",
        "window_end": "{{ 7 * 7 }}",
        "timezone": "</select><script>alert(3)</script>",
        "email": "&amp;",
        "nonce": "n-1",
    }
    page = Page(await (await form.submit(typed)).text())
    assert page.values == typed
    assert page.html.count("<script") == 1


@pytest.mark.parametrize(
    ("language", "zone", "words"),
    [
        ("ko", "Asia/Seoul", "오늘 15:30까지 (Asia/Seoul) 전화드리겠습니다."),
        ("en", "Asia/Seoul", "We will call you by 15:30 today (Asia/Seoul)."),
        ("en", "America/New_York", "We will call you by 01:30 tomorrow (America/New_York)."),
        ("en", "", "We will call you by 15:30 today (Asia/Seoul)."),
    ],
)
async def test_the_page_says_the_promise_by_the_caller_s_clock(form, language, zone, words):
    form.host.receipt = ticket(reply_by=datetime(2026, 11, 20, 6, 29, 5, tzinfo=UTC))
    page = await sent(form, language, timezone=zone)
    assert words in page.html
    assert "T-7K3M-9QXR" in page.html
    assert "noindex" in page.html


async def test_a_duplicate_is_not_promised_another_time(form):
    form.host.receipt = ticket(duplicate=True)
    page = await sent(form)
    assert "We already had this request." in page.html
    assert not re.search(r"\d\d:\d\d", page.html)


@pytest.mark.parametrize("receipt", [ticket(), Receipt(outcome=Outcome.ACCEPTED)], ids=["no policy", "no reference"])
async def test_where_nothing_was_promised_the_page_says_so(form, receipt):
    form.host.receipt = receipt
    page = await sent(form)
    assert "There is no fixed time." in page.html
    assert not re.search(r"\d\d:\d\d", page.html)


@pytest.mark.parametrize(
    "query",
    [
        "by=now", "by=2026-11-20T06:31", "by=2026-11-20T06:31Z%0A", "by=2026-13-20T06:31Z", "by=2026-11-20T06:31:00Z",
        "by=%D9%A2026-11-20T06:31Z", "zone=<b>", "again=call+555", "again=",
    ],
)  # fmt: skip
async def test_nothing_but_tokens_is_taken_from_the_address(form, query):
    page = await page_of(form, f"?lang=en&sent=T-7K3M-9QXR&{query}")
    assert "There is no fixed time." in page.html
    assert "<b>" not in page.html
    assert "555" not in page.html


@pytest.mark.parametrize("zone", ["Mars/Base", "..%2F..%2Fetc%2Fpasswd", "%3Cb%3E", "Factory"])
async def test_an_unknown_zone_in_the_address_is_the_inbox_s_own(form, zone):
    page = await page_of(form, f"?lang=en&sent=T-7K3M-9QXR&by=2026-11-20T06:31Z&zone={zone}")
    assert "by 15:31 today (Asia/Seoul)" in page.html


@pytest.mark.parametrize("by", ["0001-01-01T00:00Z", "9999-12-31T23:59Z"])
@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/New_York"])
async def test_the_ends_of_the_calendar_are_no_error(form, by, zone):
    assert (await form.get(f"?sent=yes&by={by}&zone={zone}")).status == 200


@pytest.mark.parametrize(
    ("moment", "english", "korean"),
    [
        (NOW + timedelta(hours=3), "by 15:00 today (Asia/Seoul)", "오늘 15:00까지 (Asia/Seoul)"),
        (NOW + timedelta(hours=12), "by 00:00 tomorrow (Asia/Seoul)", "내일 00:00까지 (Asia/Seoul)"),
        (
            NOW + timedelta(days=3),
            "by 12:00 on Monday 23 November (Asia/Seoul)",
            "11월 23일 월요일 12:00까지 (Asia/Seoul)",
        ),
        (
            NOW + timedelta(days=60),
            "by 12:00 on Tuesday 19 January 2027 (Asia/Seoul)",
            "2027년 1월 19일 화요일 12:00까지 (Asia/Seoul)",
        ),
        (
            NOW - timedelta(days=1),
            "by 12:00 on Thursday 19 November (Asia/Seoul)",
            "11월 19일 목요일 12:00까지 (Asia/Seoul)",
        ),
    ],
)
def test_a_promise_in_words(moment, english, korean):
    for language, words in (("en", english), ("ko", korean)):
        assert promises.in_words(moment, ZoneInfo("Asia/Seoul"), NOW, TEXTS[language]["promise"]) == words


@pytest.mark.parametrize(
    ("moment", "token"),
    [
        (datetime(2026, 11, 20, 6, 30, tzinfo=UTC), "2026-11-20T06:30Z"),
        (datetime(2026, 11, 20, 6, 30, 0, 1, tzinfo=UTC), "2026-11-20T06:31Z"),
        (datetime(2026, 11, 20, 15, 30, tzinfo=ZoneInfo("Asia/Seoul")), "2026-11-20T06:30Z"),
    ],
)
def test_a_token_is_the_next_whole_minute(moment, token):
    assert promises.token(moment) == token
    assert promises.from_token(token) == datetime.fromisoformat(token)


async def test_pressing_send_twice_is_one_request(form):
    nonce = (await page_of(form)).values["nonce"]
    for _ in range(2):
        assert (await form.submit({**GOOD, "nonce": nonce})).status == 303
    assert len({message.external_id for message in form.host.messages}) == 1


async def test_what_cannot_be_kept_now_can_be_sent_again(form):
    form.host.outcome = Outcome.DEFERRED
    answer = await form.submit({**GOOD, "nonce": "n-1"}, "?lang=en")
    page = Page(await answer.text())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert (page.values["phone"], page.values["nonce"]) == (GOOD["phone"], "n-1")
    assert "could not take your request" in page.html
