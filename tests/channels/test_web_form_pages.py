"""The contact form as people meet it: languages, errors, and nothing they typed is lost or run."""

import json
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels import web_form
from channels.api import Outcome, Receipt
from normalizers.web_form import LIMITS
from tests.channels.form_door import PATH, FormDoor, Page
from tests.channels.web_form_door import GOOD, open_form

WRONG = {
    "email_required": {"email": " "},
    "email_invalid_email": {"email": "jane at initech"},
    "message_required": {"message": "\n"},
    "name_too_long": {"name": "n" * (LIMITS["name"] + 1)},
    "subject_too_long": {"subject": "s" * (LIMITS["subject"] + 1)},
    "message_too_long": {"message": "m" * (LIMITS["message"] + 1)},
}


@pytest.fixture
async def form() -> AsyncIterator[FormDoor]:
    async with open_form() as door:
        yield door


@pytest.mark.parametrize(
    ("query", "accepts", "language"),
    [
        ("", "", "ko"),
        ("", "en-GB,en;q=0.9", "en"),
        ("", "fr-FR, ko;q=0.3, en;q=0.7", "en"),
        ("", "de, fr;q=0.5", "ko"),
        ("", "en;q=0, ko;q=0.1", "ko"),
        ("", ";;q=,q=x;q=nan," * 50, "ko"),
        ("?lang=en", "ko", "en"),
        ("?lang=xx", "en", "en"),
    ],
)
async def test_the_page_is_in_the_reader_s_language(form, query, accepts, language):
    answer = await form.get(query, **{"Accept-Language": accepts})
    assert answer.headers["Content-Language"] == language
    assert f'<html lang="{language}">' in await answer.text()


async def test_the_first_language_of_the_inbox_is_its_default():
    async with open_form(languages=["en"]) as form:
        page = Page(await (await form.get("?lang=ko")).text())
    assert page.words["h1"] == "Contact us"
    assert "nav" not in page.tags


async def test_pages_forbid_what_they_do_not_need(form):
    for answer in (await form.get(), await form.submit({})):
        html = await answer.text()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert re.search("no-(store|cache)", answer.headers["Cache-Control"])
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", html)


async def test_what_the_page_links_to_is_there(form):
    links = re.findall(r'href="(contact/assets/[^"]+)"', await (await form.get()).text())
    types = {(await form.client.get(f"/channels/{link}")).content_type for link in links}
    assert types == {"text/css", "image/svg+xml"}


@pytest.mark.parametrize("name", ["adapter.py", "..%2Fadapter.py", "%2Fetc%2Fpasswd", "form.css%00"])
async def test_no_other_file_is_served(form, name):
    assert (await form.client.get(f"{PATH}/assets/{name}")).status == 404


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("code", WRONG)
async def test_an_error_is_said_above_and_beside_its_field(form, language, code):
    answer = await form.submit(GOOD | WRONG[code], f"?lang={language}")
    page = Page(await answer.text())
    field = code.partition("_")[0]
    words = page.words[f"#{field}"]
    assert answer.status == 422
    assert words == page.words[f"#{field}-error"] != ""
    assert page.html.index('class="summary"') < page.html.index("<h1>")
    assert page.words["title"].startswith({"ko": "오류: ", "en": "Error: "}[language])
    assert page.attributes[field]["aria-invalid"] == "true"
    assert f"{field}-error" in (page.attributes[field]["aria-describedby"] or "").split()
    if code.endswith("too_long"):
        assert f"{LIMITS[field]:,}" in words


async def test_every_error_is_said_at_once(form):
    page = Page(await (await form.submit(GOOD | {"email": "x", "message": ""}, "?lang=en")).text())
    assert page.words["#email-error"] == "Enter one email address, like name@example.com"
    assert page.words["#message-error"] == "Enter your message"


def test_both_languages_have_the_same_texts():
    korean, english = (
        {
            (section, key)
            for section, words in tomllib.loads(path.read_text("utf-8")).items()
            for key in (words if isinstance(words, dict) else ())
        }
        for path in sorted((Path(web_form.__file__).parent / "texts").iterdir())
    )
    assert korean == english


async def test_what_was_typed_comes_back_as_text(form):
    typed = {
        "name": '"><script>alert(1)</script>',
        "email": "' autofocus onfocus='x",
        "subject": "{{ 7 * 7 }} & &amp;",
        "message": "\n  </textarea><script>alert(2)</script>\n끝",
        "nonce": "n-1",
    }
    page = Page(await (await form.submit(typed)).text())
    assert "script" not in page.tags
    assert page.values == typed


async def test_a_good_post_leads_to_a_page_with_the_reference(form):
    answer = await form.submit(GOOD, "?lang=en")
    assert (answer.status, answer.headers["Location"]) == (303, "?lang=en&sent=T-7K3M-9QXR")
    shown = await form.get(answer.headers["Location"])
    html = await shown.text()
    assert shown.headers["Cache-Control"] == "no-store"
    assert "T-7K3M-9QXR" in html
    assert "noindex" in html


async def test_a_message_kept_without_a_reference_is_still_confirmed(form):
    form.host.receipt = Receipt(outcome=Outcome.ACCEPTED)
    answer = await form.submit(GOOD)
    page = Page(await (await form.get(answer.headers["Location"])).text())
    assert page.words["h1"] == "문의가 접수되었습니다"
    assert "T-" not in page.html


@pytest.mark.parametrize(
    "sent", ["T-7K3M-9QX", "t-7k3m-9qxr", "T-7K3M-9QXR%0A", "T-7K3M-9QXR<b>", "%EF%BC%B4-7K3M-9QXR", "Call+555-1234"]
)
async def test_nothing_but_a_reference_is_shown_as_one(form, sent):
    page = Page(await (await form.get(f"?sent={sent}")).text())
    assert page.words["h1"] == "문의하기"
    assert "7K3M" not in page.html
    assert "555" not in page.html


async def test_the_address_cannot_add_headers_to_the_answer(form):
    answer = await form.submit(GOOD, "?lang=ko%0d%0aX-Evil:%201")
    assert answer.headers["Location"] == "?lang=ko&sent=T-7K3M-9QXR"
    assert "X-Evil" not in answer.headers


async def test_pressing_send_twice_is_one_message(form):
    nonce = Page(await (await form.get()).text()).values["nonce"]
    for _ in range(2):
        assert (await form.submit(GOOD | {"nonce": nonce})).status == 303
    assert len({message.external_id for message in form.host.messages}) == 1


async def test_each_page_has_a_nonce_of_its_own(form):
    nonces = {Page(await (await form.get()).text()).values["nonce"] for _ in range(3)}
    assert len(nonces) == 3
    assert min(map(len, nonces)) >= 22


async def test_words_edited_after_sending_can_be_sent_as_a_new_message(form):
    await form.submit(GOOD | {"nonce": "n-1"})
    answer = await form.submit(GOOD | {"nonce": "n-1", "message": "Something else."}, "?lang=en")
    page = Page(await answer.text())
    assert answer.status == 422
    assert "as a new message" in page.html
    assert page.values["message"] == "Something else."
    assert page.values["nonce"] not in ("", "n-1")
    assert (await form.submit(page.values)).status == 303
    assert [message.text for message in form.host.messages] == ["Charged twice.", "Something else."]


async def test_a_nonce_that_cannot_be_taken_is_replaced(form):
    for wrong in ({}, {"email": "x"}):
        page = Page(await (await form.submit(GOOD | {"nonce": "n" * 500} | wrong)).text())
        assert page.values["message"] == GOOD["message"]
        assert (await form.submit(page.values | GOOD)).status == 303


@pytest.mark.parametrize("why", ["nowhere to write", "shutting down"])
async def test_what_cannot_be_kept_now_can_be_sent_again(form, why):
    if why == "shutting down":
        await form.close()
    else:
        form.host.outcome = Outcome.DEFERRED
    answer = await form.submit(GOOD | {"nonce": "n-1"}, "?lang=en")
    page = Page(await answer.text())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert "could not take your message" in page.html
    assert (page.values["message"], page.values["nonce"]) == (GOOD["message"], "n-1")


async def test_an_unreadable_form_gets_a_page_too(form):
    answer = await form.submit({f"field{n}": "x" for n in range(200)} | GOOD, "?lang=en")
    page = Page(await answer.text())
    assert answer.status == 422
    assert "We could not read what was sent" in page.html


async def test_too_long_a_form_is_told_how_to_get_its_words_back():
    async with open_form(max_body=4096) as form:
        answer = await form.submit(GOOD | {"message": "m" * 5000}, "?lang=en")
        page = Page(await answer.text())
    assert answer.status == 413
    assert "Back button" in page.html


async def test_a_form_sent_by_a_script_gets_json(form):
    answer = await form.submit(GOOD, Accept="application/json")
    assert (answer.status, json.loads(await answer.text())["reference"]) == (202, "T-7K3M-9QXR")
    assert (await form.submit({}, Accept="application/json")).content_type == "application/problem+json"
    assert (await form.submit({}, Accept="text/html,application/json;q=0.9")).content_type == "text/html"
