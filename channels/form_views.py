"""The pages of a form, as answers to the outcomes of a POST."""

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from aiohttp.web import Request, Response

from channels.api import Receipt
from channels.pages import Pages, Texts
from channels.problems import RETRY_AFTER
from normalizers.fields import Limits, as_typed
from normalizers.message import Problem

_REFERENCE = re.compile(r"T-[0-9A-Z]{4}-[0-9A-Z]{4}")
_NO_REFERENCE = "yes"
_NONCE = "nonce"

Typed = Mapping[str, str]
"""What a browser sent, by field, however wrong."""


class FormViews:
    """Pages in the language of each request. A channel brings `form.html`, `sent.html` and its texts, and may say more.

    `limits` names every field in the order of the page, and how many characters it may have.
    """

    def __init__(self, inbox: str, folder: Path, languages: Sequence[str], limits: Limits) -> None:
        self._inbox, self._limits = inbox, limits
        self._fields = tuple(field for field in limits if field != _NONCE)
        self._pages = Pages(folder, languages)
        self.serve_asset = self._pages.serve_asset()

    def as_typed(self, body: bytes) -> Typed:
        """The fields of a browser's POST, as far as they can be read."""
        return as_typed(body, self._limits)

    def start(self, request: Request) -> Response:
        """The empty form, or what a browser sees after it was redirected from a good POST."""
        language = self._pages.language(request)
        sent = request.query.get("sent", "")
        if sent == _NO_REFERENCE or _REFERENCE.fullmatch(sent):
            reference = None if sent == _NO_REFERENCE else sent
            more = self.sent_values(request.query, self._pages.texts[language])
            return self._pages.render(
                "sent.html", language, status=200, headers=None, inbox=self._inbox, reference=reference, **more
            )
        # Not no-store: after going back, a browser fills in again what was typed into this page.
        return self._form(language, status=200, headers={"Cache-Control": "private, no-cache"})

    def received(self, request: Request, receipt: Receipt, body: bytes) -> Response:
        """303 to the page that shows the reference, so that a reload does not send again."""
        sent = receipt.references[0].reference if receipt.references else _NO_REFERENCE
        query = {"lang": self._pages.language(request), "sent": sent, **self.sent_tokens(receipt, body)}
        headers = {"Location": "?" + urlencode(query, safe="/:"), "Cache-Control": "no-store"}
        return Response(status=303, headers=headers)

    def mend(self, request: Request, typed: Typed, problems: Sequence[Problem]) -> Response:
        """422: the form filled in, with what to mend in the words of the page's language."""
        language = self._pages.language(request)
        texts = self._pages.texts[language]["problems"]
        by_field = {problem.pointer[1:]: self._words(texts, problem) for problem in problems}
        errors = {field: by_field[field] for field in self._fields if field in by_field}
        whole = next((problem for problem in problems if not problem.pointer), None)
        notice = None if errors else self._words(texts, whole)
        if not errors or _NONCE in by_field:
            typed = {field: value for field, value in typed.items() if field != _NONCE}
        return self._form(language, status=422, typed=typed, errors=errors, notice=notice)

    def later(self, request: Request, typed: Typed) -> Response:
        """503: nothing was kept, so the page keeps the words and the nonce for another try."""
        language = self._pages.language(request)
        notice = self._pages.texts[language]["problems"]["later"]
        return self._form(language, status=503, typed=typed, notice=notice, headers=RETRY_AFTER)

    def too_large(self, request: Request) -> Response:
        """413: the words were never read, only the browser still has them."""
        language = self._pages.language(request)
        notice = self._pages.texts[language]["problems"]["too_large"]
        return self._form(language, status=413, notice=notice)

    def form_values(self, typed: Typed | None, texts: Texts) -> Mapping[str, object]:
        """What else `form.html` needs; `typed` is None where nothing was sent yet."""
        return {}

    def sent_tokens(self, receipt: Receipt, body: bytes) -> Mapping[str, str]:
        """What else the query of the sent page says: anybody can write it, so tokens only, never words."""
        return {}

    def sent_values(self, query: Mapping[str, str], texts: Texts) -> Mapping[str, object]:
        """What else `sent.html` needs, from a query that anybody may have written."""
        return {}

    def _form(
        self,
        language: str,
        *,
        status: int,
        typed: Typed | None = None,
        errors: Typed | None = None,
        notice: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        shown = typed or {}
        return self._pages.render(
            "form.html",
            language,
            status=status,
            headers=headers,
            inbox=self._inbox,
            typed={field: shown.get(field, "") for field in self._fields},
            nonce=shown.get(_NONCE) or secrets.token_urlsafe(16),
            errors=errors or {},
            notice=notice,
            **self.form_values(typed, self._pages.texts[language]),
        )

    def _words(self, texts: Texts, problem: Problem | None) -> str:
        """The most particular text there is for a problem."""
        if problem is None:
            return str(texts["other"])
        field = problem.pointer[1:]
        text = texts.get(f"{field}_{problem.code}") or texts.get(problem.code) or texts["other"]
        return str(text).format(limit=f"{self._limits.get(field, 0):,}")
