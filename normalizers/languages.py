"""Which language a text is in, by its script and a few telling letters; `und` where that does not tell."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

UNSURE = "und"
"""Undetermined (ISO 639-2)."""

_MOST_TEXT = 500
"""Characters looked at."""
_MOST_WORDS = 200
_ELSEWHERE = re.compile(r"\S*(?:://|@)\S*|\bwww\.\S*")
"""Addresses are Latin in every language."""
_SCRIPTS: Mapping[str, str] = {
    "hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3",
    "kana": "\u3041-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d",
    "han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f",
    "latin": "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff",
    "cyrillic": "\u0400-\u052f",
    "arabic": "\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "he": "\u05d0-\u05ea",
    "hy": "\u0531-\u0587",
    "ka": "\u10a0-\u10ff",
    "th": "\u0e01-\u0e4e",
    "hi": "\u0904-\u0939\u0958-\u0961",
    "bn": "\u0985-\u09b9",
    "ta": "\u0b85-\u0bb9",
    "te": "\u0c05-\u0c39",
    "km": "\u1780-\u17b3",
    "lo": "\u0e81-\u0ec4",
    "my": "\u1000-\u102a",
}
_NOT_LATIN = re.compile(f"[{''.join(span for name, span in _SCRIPTS.items() if name != 'latin')}]")
_LETTERS = {name: re.compile(f"[{span}]") for name, span in _SCRIPTS.items()}
_KOREAN = re.compile(f"[\\x00-\\x7f{_SCRIPTS['hangul']}]*")
_CYRILLIC: Sequence[tuple[str, str]] = (("їєґЇЄҐ", "uk"), ("ўЎ", "be"), ("ђћџљњјѓќѕЂЋЏЉЊЈЃЌЅіІ", UNSURE))
_ARABIC: Sequence[tuple[str, str]] = (("ٹڈڑںےہھ", "ur"), ("پچژگ", "fa"))
"""Letters the language that is usual in a script does without, and whose they are."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_PLAIN_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
"""The same of ASCII in lower case, in half the time."""
_ENGLISH = frozenset(
    "the and you your this that with have has what when where which please would could should can't cannot don't "
    "didn't doesn't i'm i've it's are were been not but from how why thanks thank hello hi there they their any about "
    "after before because does did my our refund need want working".split()
)
"""Words no other language that is often written to a help desk is full of."""
_NOT_ENGLISH = re.compile("[àâäáãåæçéèêëíìîïñóòôöõøœßúùûüýÿąćęłńśźżčďěňřšťůžğşőű]")
_VIETNAMESE = re.compile("[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]")
_EVERY = 8
"""So many words of English may stand between two telling ones."""
_CLEARLY = 2
_MENTIONED = 20
"""Among so many Latin letters, one of another script is a name or a quotation."""
_WEIGHT = 3
"""A syllable or an ideograph says as much as so many Latin letters."""


def detect(text: str) -> str:
    """ISO 639-1, of the first 500 characters; quoted names and addresses of another script do not count much."""
    sample = text[:_MOST_TEXT]
    if _KOREAN.fullmatch(sample):  # most of what comes in: the long way finds the same, ten times slower
        hangul = (len(sample.encode()) - len(sample)) // 2
        if hangul and hangul * _WEIGHT >= len(sample) - hangul:
            return "ko"
    if "://" in sample or "@" in sample or "www." in sample:
        sample = _ELSEWHERE.sub(" ", sample)
    if sample.isascii() or _NOT_LATIN.search(sample) is None:
        return _of_latin(sample)
    counts = dict.fromkeys(_SCRIPTS, 0)
    for letter, times in Counter(sample).items():
        if (script := _script(letter)) is not None:
            counts[script] += times
    latin = counts.pop("latin")
    cjk = _cjk(counts.pop("hangul"), counts.pop("kana"), counts.pop("han"))
    name, count = max((*cjk.items(), *counts.items()), key=lambda found: found[1])
    others = sum(cjk.values()) + sum(counts.values()) - count
    if count < others * _CLEARLY:
        return UNSURE
    if count * _WEIGHT < latin and ((found := _of_latin(sample)) != UNSURE or count * _MENTIONED < latin):
        return found
    if name == "cyrillic":
        return _telling(sample, _CYRILLIC, "ru")
    return _telling(sample, _ARABIC, "ar") if name == "arabic" else name


@lru_cache(maxsize=8192)
def _script(letter: str) -> str | None:
    return next((name for name, letters in _LETTERS.items() if letters.match(letter)), None)


def _cjk(hangul: int, kana: int, han: int) -> dict[str, int]:
    """Ideographs are Japanese beside kana, Korean beside Hangul, and Chinese alone; one の among many is decoration."""
    if kana * 10 >= han and kana > 0:
        return {"ko": hangul, "ja": kana + han}
    if hangul >= han:
        return {"ko": hangul + han, "ja": kana}
    return {"ko": hangul, "zh": han + kana}


def _telling(text: str, letters: Sequence[tuple[str, str]], usual: str) -> str:
    for telling, language in letters:
        if any(letter in text for letter in telling):
            return language
    return usual


def _of_latin(text: str) -> str:
    text = text.lower().replace("’", "'")
    plain = text.isascii()
    if not plain and len(_VIETNAMESE.findall(text)) >= _CLEARLY:
        return "vi"
    words = (_PLAIN_WORD if plain else _WORD).findall(text)[:_MOST_WORDS]
    english = sum(map(_ENGLISH.__contains__, words))
    foreign = 0 if plain else len(_NOT_ENGLISH.findall(text))
    return "en" if english * _EVERY >= len(words) and english > foreign else UNSURE
