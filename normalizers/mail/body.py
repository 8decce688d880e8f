"""Which parts of a mail are its words, and which are files that came along."""

import re

from normalizers.charsets import decode
from normalizers.html import page_to_text, parse_page
from normalizers.html.layout import Element
from normalizers.mail.flowed import unflow
from normalizers.mail.headers import decode_labelled
from normalizers.mail.mime import Part
from normalizers.mail.quotes.pages import mark_quotes
from normalizers.mail.sanitized import Pages, squeezed
from normalizers.notes import Notes
from normalizers.text import clean_text, cut_utf8

_LONGEST_TEXT = 256 * 1024
_LONGEST_READ = 4 * _LONGEST_TEXT
_LONGEST_HTML = 2 * 1024 * 1024
_LONGEST_WRITTEN = 16 * 1024
_LONGEST_STUB = 500
_WRITTEN = ("text/plain", "text/markdown")

_META_CHARSET = re.compile(rb"<meta\b[^<>]{0,200}charset\s*=\s*[\"']?([\w:.-]{1,40})", re.IGNORECASE)


class MailBody:
    """Reads a mail's parts once: `text` is what was written, `files` everything else in the order of the mail."""

    def __init__(self, root: Part, notes: Notes) -> None:
        self._root = root
        self._notes = notes
        self.files: list[Part] = []
        self._pages = Pages()
        self._read = 0
        words = self._words(root)
        if "too_deep" in notes and not words and not self.files:
            words = decode(bytes(root.raw_body()[:_LONGEST_TEXT]), guess=False)
        if not words.strip():
            words = self._words_of_file()
        self.text = self._cut(clean_text(words))
        self.files.sort(key=lambda part: part.number)
        self.html = self._pages.html(notes)
        """Safe to show."""
        self.remote_images = self._pages.remote_images

    def _words(self, part: Part) -> str:
        if part.children:
            if part.media_type == "multipart/alternative":
                return self._best_of(part.children)
            if part.media_type == "multipart/related":
                page, *resources = _root_first(part)
                leaves = [leaf for resource in resources for leaf in resource.leaves()]
                self.files += [leaf for leaf in leaves if not leaf.media_type.startswith("multipart/")]
                return self._words(page)
            return self._joined([self._words(child) for child in part.children])
        if self._is_words(part):
            return self._page(part) if part.media_type == "text/html" else self._plain(part)
        if not part.media_type.startswith("multipart/"):
            self.files.append(part)
        return ""

    def _best_of(self, renditions: list[Part]) -> str:
        """The plain one unless it is empty, else the last that has words: they stand in the order of fidelity."""
        plain = [part for part in renditions if part.media_type == "text/plain" and self._is_words(part)]
        rest = [part for part in renditions if part not in plain]
        words = ""
        more: list[str] = []
        before: int | None = len(self._pages)
        for part in [*plain, *reversed(rest)]:
            if words.strip():
                words, before = self._add_unread(part, words, before, more)
            else:
                words = self._words(part)
                before = before if part in plain else None
        told = squeezed(words)
        for text in more:
            if (key := squeezed(text)) not in told:
                words, told = f"{words}\n\n{text}", told + key
        return words

    def _add_unread(self, part: Part, words: str, before: int | None, more: list[str]) -> tuple[str, int | None]:
        """What of it is no rendition of the words read already; its pages are shown in place of those, once."""
        shown = before
        for leaf in part.leaves():
            if leaf.media_type == "text/html" and self._is_words(leaf):
                page = self._decoded(leaf, beside=True) if before is not None else ""
                if page.strip():
                    tree = parse_page(page)
                    words = _with_page(words, page, tree)
                    if shown is not None:
                        self._pages.take_back(shown)
                    shown = None
                    self._pages.add(tree)
                continue
            if leaf.media_type == "text/plain" and self._is_words(leaf):
                more.append(self._plain(leaf))
                continue
            kind, _, form = leaf.media_type.partition("/")
            file = leaf.filename or leaf.disposition == "attachment" or form == "calendar"
            if file or kind not in ("text", "multipart"):
                self.files.append(leaf)
        return words, shown

    def _words_of_file(self) -> str:
        """Gateways of telephone companies send what was written as a file, and nothing else; it stays one, too."""
        for part in self.files:
            if part.media_type in _WRITTEN and len(part.raw_body()) <= _LONGEST_WRITTEN:
                if words := self._plain(part):
                    return words
            elif part.media_type == "text/html" and part.disposition != "attachment" and (words := self._page(part)):
                return words
        return ""

    def _joined(self, texts: list[str]) -> str:
        """Apple Mail writes words, a file and more words; others the same words twice, as plain text and as HTML."""
        kept: dict[str, str] = {}
        for text in texts:
            if key := squeezed(text):
                kept.setdefault(key, text)
        return "\n\n".join(kept.values())

    def _is_words(self, part: Part) -> bool:
        if part.disposition == "attachment" or not part.media_type.startswith("text/"):
            return False
        if part is self._root:
            return part.media_type != "text/calendar"
        return part.media_type in ("text/plain", "text/html") and not part.filename

    def _plain(self, part: Part) -> str:
        text = self._decoded(part)
        if part.parameters.get("format", "").lower() == "flowed":
            text = unflow(text, del_sp=part.parameters.get("delsp", "").lower() == "yes")
        self._pages.add_plain(text)
        return text.strip("\r\n")

    def _page(self, part: Part) -> str:
        page = self._decoded(part)
        if not page.strip():
            return ""
        tree = parse_page(page)
        words = page_to_text(page, tree, mark_quotes)
        self._pages.add(tree, words)
        return words

    def _decoded(self, part: Part, *, beside: bool = False) -> str:
        """`beside`: it is not the part the words are taken from, so that nothing of them is missing if it is cut."""
        if self._read >= _LONGEST_READ and not beside:
            self._note_cut()
            return ""
        is_html = part.media_type == "text/html"
        limit = _LONGEST_HTML if is_html else _LONGEST_READ
        data = part.body(self._notes, limit)
        whole = len(data) <= limit
        if not whole:
            if is_html:
                self._pages.give_up()
            if beside:
                return ""
            self._note_cut()
            data = data[:limit]
        label = part.parameters.get("charset", "")
        if is_html and not label and (meta := _META_CHARSET.search(data[:2048])):
            label = meta[1].decode("ascii", "replace")
        text = decode_labelled(data, label, self._notes, guess=not self._read, whole=whole)
        self._read += 0 if beside else len(data)
        return text

    def _cut(self, text: str) -> str:
        short, cut = cut_utf8(text, _LONGEST_TEXT)
        if cut:
            self._note_cut()
        return short

    def _note_cut(self) -> None:
        self._notes.add("text_cut", "text past 256 KiB is in the raw original only")


def _root_first(related: Part) -> list[Part]:
    """The part the others belong to: the one `start` names (RFC 2387), else the first that can have words."""
    start = related.parameters.get("start", "").strip()
    parts = related.children
    named = (part for part in parts if start and part.headers.first("content-id").strip() == start)
    wordy = (part for part in parts if part.media_type.startswith(("text/", "multipart/")))
    root = next(named, None) or next(wordy, parts[0])
    return [root, *(part for part in parts if part is not root)]


def _with_page(words: str, page: str, tree: Element | None) -> str:
    """Some programs write into the plain part only that there is a page: what mostly stands in that alone is read."""
    told = squeezed(words)
    if len(told) > _LONGEST_STUB:
        return words
    said = page_to_text(page, tree, mark_quotes)
    pieces = [piece for piece in said.split() if not piece.startswith(("(http", ">"))]
    untold = sum(len(piece) for piece in pieces if piece not in told)
    if untold * 2 <= sum(map(len, pieces)):
        return words
    return said if told in squeezed(said) else f"{words}\n\n{said}"
