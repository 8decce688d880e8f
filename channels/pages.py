"""What every page for customers shares: escaping, security headers, texts and the choice of a language."""

import hashlib
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp.web import HTTPNotFound, Request, Response, StreamResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
    "X-Content-Type-Options": "nosniff",
}
_ASSET_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SHARED = Path(__file__).parent / "page_parts"
"""Templates and assets of every channel's pages; a channel's own come first."""
_MOST_RANGES = 20

Texts = Mapping[str, Any]
"""The words of one language, as its TOML file nests them."""


class Pages:
    """The templates, texts and assets beside a channel's adapter, and the shared ones; all are read once, here."""

    def __init__(self, folder: Path, languages: Sequence[str]) -> None:
        self._templates = Environment(
            loader=FileSystemLoader([folder / "templates", _SHARED / "templates"]),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.languages = tuple(languages)
        self.texts: dict[str, Texts] = {
            language: tomllib.loads((folder / "texts" / f"{language}.toml").read_text(encoding="utf-8"))
            for language in languages
        }
        self._assets = {
            path.name: _asset(path) for place in (_SHARED, folder) for path in sorted((place / "assets").glob("*"))
        }
        versions = hashlib.sha256(b"".join(body for body, _ in self._assets.values()))
        self.asset_version = versions.hexdigest()[:12]

    def render(
        self,
        template: str,
        language: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> Response:
        """A page that no cache keeps and no other site frames; `values` are escaped."""
        html = self._templates.get_template(template).render(
            t=self.texts[language],
            language=language,
            languages=[(code, texts["language_name"]) for code, texts in self.texts.items()],
            asset_version=self.asset_version,
            **values,
        )
        every = {**_HEADERS, "Content-Language": language, **(headers or {})}
        return Response(status=status, body=html.encode(errors="replace"), headers=every)

    def language(self, request: Request) -> str:
        """`?lang=`, else what the browser prefers of the languages offered, else the first of them."""
        asked = request.query.get("lang")
        if asked in self.texts:
            return asked
        return _preferred(request.headers.get("Accept-Language", ""), self.languages)

    def serve_asset(self) -> Callable[[Request], Awaitable[StreamResponse]]:
        """Handler of a route with `{name}`: the fixed set of files, nothing else of the disk."""

        async def serve(request: Request) -> StreamResponse:
            try:
                body, headers = self._assets[request.match_info["name"]]
            except KeyError:
                raise HTTPNotFound from None
            return Response(body=body, headers=headers)

        return serve


def _asset(path: Path) -> tuple[bytes, dict[str, str]]:
    return path.read_bytes(), {
        "Content-Type": _ASSET_TYPES[path.suffix],
        "Cache-Control": "public, max-age=86400",
        "X-Content-Type-Options": "nosniff",
    }


def _preferred(header: str, offered: Sequence[str]) -> str:
    best, best_quality = offered[0], 0.0
    for entry in header.split(",")[:_MOST_RANGES]:
        tag, _, parameter = entry.partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(parameter)
        if language in offered and quality > best_quality:
            best, best_quality = language, quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
