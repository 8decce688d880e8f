"""Text that is safe to show: what every normalizer does to words typed by strangers."""

import re
import unicodedata

_LONGEST_ADDRESS = 254
_MOST_MARKS = 30
_SHORT = 2048

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BIDI = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_GAP = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\".]+(?:\.[^\s@<>()\[\],;:\\\".]+)*@\w(?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)+")
# What most people write: ASCII and Latin, typographic marks, kana, CJK, Hangul, full width, emoji. Nothing of it is
# to be stripped, and none composes with its neighbours, so that it is NFC as it stands.
_COMMON = re.compile(
    r"[\n\x20-\x7e\xa1-\xac\xae-\u02ff\u2010-\u2015\u2018-\u201f\u2026\u3001-\u3029\u3041-\u3096\u30a1-\u30fa"
    r"\u3400-\u9fff\uac00-\ud7a3\uff01-\uff60\U0001f300-\U0001faff]*"
)
# Runs that may hold many combining marks: everything but Latin, CJK ideographs and Hangul syllables.
_MARKS = re.compile(r"[^\x00-\u02ff\u3400-\u9fff\uac00-\ud7a3]{31,}")


def clean_line(value: str, limit: int) -> str:
    """NFC in at most `limit` characters: no bidi controls; white space and controls become single spaces."""
    if value.isprintable() and "  " not in value:
        return compose(value).strip()[:limit].rstrip()
    line = compose(_BIDI.sub("", _SURROGATE.sub("\ufffd", value.replace("\0", ""))))
    return _GAP.sub(" ", line).strip()[:limit].rstrip()


def clean_text(value: str) -> str:
    """NFC with LF line ends; controls except newline and tab are gone, so is white space at the end."""
    if _COMMON.fullmatch(value):
        return value.rstrip()
    text = value.replace("\r\n", "\n").replace("\r", "\n").replace("\x85", "\n")
    return compose(_SURROGATE.sub("\ufffd", _CONTROL.sub("", text))).rstrip()


def compose(value: str) -> str:
    """NFC in linear time: marks past the 30th on one character, as in no language, are dropped."""
    if value.isascii():
        return value
    # CPython sorts combining marks by insertion, which is quadratic: 200,000 of them would take minutes.
    if len(value) > _SHORT:
        value = _MARKS.sub(_thin_marks, value)
    return value if unicodedata.is_normalized("NFC", value) else unicodedata.normalize("NFC", value)


def cut_utf8(value: str, limit: int) -> tuple[str, bool]:
    """The longest prefix of whole characters within `limit` bytes of UTF-8, and whether anything was cut."""
    if len(value) * 4 <= limit:
        return value, False
    encoded = _SURROGATE.sub("\ufffd", value).encode()
    if len(encoded) <= limit:
        return value, False
    return encoded[:limit].decode(errors="ignore"), True


def find_email(value: str) -> str | None:
    """The canonical spelling of the one plausible address that `value` is; quoted local parts are none."""
    address = compose(value.strip()[: _LONGEST_ADDRESS + 1]).lower()
    if not address.isprintable() or len(address.encode()) > _LONGEST_ADDRESS:
        return None
    return address if _ADDRESS.fullmatch(address) else None


def _thin_marks(run: re.Match[str]) -> str:
    kept: list[str] = []
    marks = 0
    for character in run.group():
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)
