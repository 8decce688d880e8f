"""Which parts of a mail are its words, and which are files that came along."""

import re

from normalizers.charsets import decode
from normalizers.html import html_to_text
from normalizers.mail.headers import decode_labelled
from normalizers.mail.mime import Part
from normalizers.notes import Notes
from normalizers.text import clean_text, cut_utf8

_LONGEST_TEXT = 256 * 1024
_LONGEST_READ = 4 * _LONGEST_TEXT
_LONGEST_HTML = 2 * 1024 * 1024

_META_CHARSET = re.compile(rb"<meta\b[^<>]{0,200}charset\s*=\s*[\"']?([\w:.-]{1,40})", re.IGNORECASE)


class MailBody:
    """Reads a mail's parts once: `text` is what was written, `files` everything else in the order of the mail."""

    def __init__(self, root: Part, notes: Notes) -> None:
        self._root = root
        self._notes = notes
        self.files: list[Part] = []
        self.html: str | None = None
        """Safe to show."""
        self.remote_images: tuple[str, ...] = ()
        self._read = 0
        words = self._words(root)
        if "too_deep" in notes and not words and not self.files:
            words = decode(bytes(root.raw_body()[:_LONGEST_TEXT]), guess=False)
        self.text = self._cut(clean_text(words))
        self.files.sort(key=lambda part: part.number)

    def _words(self, part: Part) -> str:
        if part.children:
            if part.media_type == "multipart/alternative":
                return self._best_of(part.children)
            if part.media_type == "multipart/related":
                page, *resources = part.children
                leaves = [leaf for resource in resources for leaf in resource.leaves()]
                self.files += [leaf for leaf in leaves if not leaf.media_type.startswith("multipart/")]
                return self._words(page)
            return self._joined([self._words(child) for child in part.children])
        if self._is_words(part):
            return self._decoded(part)
        if not part.media_type.startswith("multipart/"):
            self.files.append(part)
        return ""

    def _best_of(self, renditions: list[Part]) -> str:
        """The plain one unless it is empty, else the last that has words: they stand in the order of fidelity."""
        plain = [part for part in renditions if part.media_type == "text/plain" and self._is_words(part)]
        rest = [part for part in renditions if part not in plain]
        words = ""
        for part in [*plain, *reversed(rest)]:
            if words.strip():
                self._add_files(part)
            else:
                words = self._words(part)
        return words

    def _add_files(self, part: Part) -> None:
        """What of an unread part is no rendition of the words read already."""
        for leaf in part.leaves():
            kind, _, form = leaf.media_type.partition("/")
            file = leaf.filename or leaf.disposition == "attachment" or form == "calendar"
            if file or kind not in ("text", "multipart"):
                self.files.append(leaf)

    def _joined(self, texts: list[str]) -> str:
        """Apple Mail writes words, a file and more words; others the same words twice, as plain text and as HTML."""
        kept: dict[str, str] = {}
        for text in texts:
            if squeezed := "".join(text.split()):
                kept.setdefault(squeezed, text)
        return "\n\n".join(kept.values())

    def _is_words(self, part: Part) -> bool:
        if part.disposition == "attachment" or not part.media_type.startswith("text/"):
            return False
        if part is self._root:
            return part.media_type != "text/calendar"
        return part.media_type in ("text/plain", "text/html") and not part.filename

    def _decoded(self, part: Part) -> str:
        if self._read >= _LONGEST_READ:
            self._note_cut()
            return ""
        data = part.body(self._notes)
        is_html = part.media_type == "text/html"
        limit = _LONGEST_HTML if is_html else _LONGEST_READ
        whole = len(data) <= limit
        if not whole:
            self._note_cut()
            data = data[:limit]
        label = part.parameters.get("charset", "")
        if is_html and not label and (meta := _META_CHARSET.search(data[:2048])):
            label = meta[1].decode("ascii", "replace")
        text = decode_labelled(data, label, self._notes, guess=not self._read, whole=whole)
        self._read += len(data)
        return html_to_text(text) if is_html else text.strip("\r\n")

    def _cut(self, text: str) -> str:
        short, cut = cut_utf8(text, _LONGEST_TEXT)
        if cut:
            self._note_cut()
        return short

    def _note_cut(self) -> None:
        self._notes.add("text_cut", "text past 256 KiB is in the raw original only")
