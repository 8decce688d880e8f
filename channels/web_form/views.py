"""The pages of the contact form, as answers to the outcomes of a POST."""

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp.web import Request, Response

from channels.api import Receipt
from channels.pages import Pages, Texts
from channels.problems import RETRY_AFTER
from normalizers.message import Problem
from normalizers.web_form import LIMITS

_FIELDS = ("name", "email", "subject", "message")
_REFERENCE = re.compile(r"T-[0-9A-Z]{4}-[0-9A-Z]{4}")
_NO_REFERENCE = "yes"


class FormViews:
    """Pages in the language of each request."""

    def __init__(self, inbox: str, languages: Sequence[str]) -> None:
        self._inbox = inbox
        self._pages = Pages(Path(__file__).parent, languages)
        self.serve_asset = self._pages.serve_asset()

    def start(self, request: Request) -> Response:
        """The empty form, or what a browser sees after it was redirected from a good POST."""
        language = self._pages.language(request)
        sent = request.query.get("sent", "")
        if sent == _NO_REFERENCE or _REFERENCE.fullmatch(sent):
            reference = None if sent == _NO_REFERENCE else sent
            return self._pages.render("sent.html", language, inbox=self._inbox, reference=reference)
        # Not no-store: after going back, a browser fills in again what was typed into this page.
        return self._form(language, status=200, headers={"Cache-Control": "private, no-cache"})

    def received(self, request: Request, receipt: Receipt) -> Response:
        """303 to the page that shows the reference, so that a reload does not send again."""
        sent = receipt.references[0].reference if receipt.references else _NO_REFERENCE
        location = f"?lang={self._pages.language(request)}&sent={sent}"
        return Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})

    def mend(self, request: Request, typed: Mapping[str, str], problems: Sequence[Problem]) -> Response:
        """422: the form filled in, with what to mend in the words of the page's language."""
        language = self._pages.language(request)
        texts = self._pages.texts[language]["problems"]
        by_field = {problem.pointer[1:]: _words(texts, problem) for problem in problems}
        errors = {field: by_field[field] for field in _FIELDS if field in by_field}
        whole = next((problem for problem in problems if not problem.pointer), None)
        notice = None if errors else _words(texts, whole)
        if not errors or "nonce" in by_field:
            typed = {field: value for field, value in typed.items() if field != "nonce"}
        return self._form(language, status=422, typed=typed, errors=errors, notice=notice)

    def later(self, request: Request, typed: Mapping[str, str]) -> Response:
        """503: nothing was kept, so the page keeps the words and the nonce for another try."""
        language = self._pages.language(request)
        notice = self._pages.texts[language]["problems"]["later"]
        return self._form(language, status=503, typed=typed, notice=notice, headers=RETRY_AFTER)

    def too_large(self, request: Request) -> Response:
        """413: the words were never read, only the browser still has them."""
        language = self._pages.language(request)
        notice = self._pages.texts[language]["problems"]["too_large"]
        return self._form(language, status=413, notice=notice)

    def _form(
        self,
        language: str,
        *,
        status: int,
        typed: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        notice: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        typed = typed or {}
        return self._pages.render(
            "form.html",
            language,
            status=status,
            headers=headers,
            inbox=self._inbox,
            typed={field: typed.get(field, "") for field in _FIELDS},
            nonce=typed.get("nonce") or secrets.token_urlsafe(16),
            errors=errors or {},
            notice=notice,
        )


def _words(texts: Texts, problem: Problem | None) -> str:
    """The most particular text there is for a problem."""
    if problem is None:
        return str(texts["other"])
    field = problem.pointer[1:]
    text = texts.get(f"{field}_{problem.code}") or texts.get(problem.code) or texts["other"]
    return str(text).format(limit=f"{LIMITS.get(field, 0):,}")
