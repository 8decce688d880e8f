"""Bytes to text when the label is missing, wrong or nobody's: never raises, Korean first."""

import codecs
import re

_GUESSED_PREFIX = 4096

# Codec: labels seen in mail. Python's own euc_kr and gb2312 are the strict national sets, which the senders'
# Windows code pages outgrew; iso-8859-1 is read as browsers do (https://encoding.spec.whatwg.org/#names-and-labels).
_LABELS = """
utf-8: utf8 utf-8 unicode-1-1-utf-8 utf8mb3 utf8mb4 utf-8-sig cp65001 utf
ascii: us-ascii ascii ansi-x3.4-1968 iso646-us 646 us
cp949: euc-kr euckr ks-c-5601-1987 ks-c-5601 ks-c-5601-1989 ksc5601 ksc-5601 ks-x-1001 ksx1001
cp949: korean iso-ir-149 windows-949 x-windows-949 cp949 ms949 uhc x-uhc csksc56011987 cseuckr
johab: johab cp1361 windows-1361 ms1361
iso2022_kr: iso-2022-kr iso2022kr csiso2022kr
iso2022_jp_2: iso-2022-jp iso2022jp csiso2022jp iso-2022-jp-1 iso-2022-jp-2 cp50220 cp50221
cp932: shift-jis shiftjis sjis x-sjis ms-kanji windows-31j cp932 csshiftjis
euc_jp: euc-jp eucjp x-euc-jp cseucpkdfmtjapanese
gb18030: gb2312 gb-2312-80 gb18030 gbk x-gbk cp936 windows-936 ms936 euc-cn x-euc-cn chinese
gb18030: csgb2312 iso-ir-58
hz: hz-gb-2312 hz
big5hkscs: big5 big5-hkscs cn-big5 x-x-big5 cp950 windows-950 csbig5
cp1252: iso-8859-1 iso8859-1 latin1 latin-1 l1 cp1252 windows-1252 x-cp1252 cp819 ansi iso-ir-100
cp1250: cp1250 windows-1250
cp1251: cp1251 windows-1251
cp1253: cp1253 windows-1253
cp1254: cp1254 windows-1254 iso-8859-9 iso8859-9 latin5
cp1255: cp1255 windows-1255
cp1256: cp1256 windows-1256
cp1257: cp1257 windows-1257
cp1258: cp1258 windows-1258
cp874: cp874 windows-874 tis-620 iso-8859-11
iso8859_2: iso-8859-2 iso8859-2 latin2
iso8859_3: iso-8859-3
iso8859_4: iso-8859-4
iso8859_5: iso-8859-5
iso8859_6: iso-8859-6
iso8859_7: iso-8859-7 greek
iso8859_8: iso-8859-8 iso-8859-8-i
iso8859_10: iso-8859-10
iso8859_13: iso-8859-13
iso8859_14: iso-8859-14
iso8859_15: iso-8859-15 iso8859-15 latin9 latin-9
iso8859_16: iso-8859-16
koi8_r: koi8-r koi8
koi8_u: koi8-u
mac_roman: macintosh mac x-mac-roman
cp437: cp437 ibm437
cp850: cp850 ibm850
cp866: cp866 ibm866
utf-7: utf-7 unicode-1-1-utf-7
utf-16: utf-16 utf16 ucs-2
utf-16-le: utf-16le
utf-16-be: utf-16be
utf-32: utf-32
"""
_CODECS = {
    label: codec
    for codec, _, labels in (line.partition(":") for line in _LABELS.split("\n"))
    for label in labels.split()
}
_NOT_ASCII_BASED = frozenset(["utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "hz"])
# What mail programs write when they know nothing: worth no more than what the bytes themselves say.
_EMPTY_PROMISES = frozenset([None, "ascii", "utf-8", "cp1252"])
_CANDIDATES = [
    "cp949",
    "gb18030",
    "big5",
    "cp932",
    "euc_jp",
    "cp1252",
    "cp1250",
    "cp1251",
    "koi8_r",
    "cp1253",
]

# Two syllables of KS X 1001 in a row: accented letters hardly ever stand four together.
_KOREAN = re.compile(rb"(?:[\xb0-\xc8][\xa1-\xfe]){2}")
_KOREAN_ESCAPE = b"\x1b$)C"
_JAPANESE_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\([BJ])")


def codec_for(label: str) -> str | None:
    """Python's codec for a label as it stands in a mail, None where nobody knows it."""
    return _CODECS.get(label.strip(" \t\"'").lower().replace("_", "-"))


def decode(data: bytes, label: str = "", *, guess: bool = True, whole: bool = True) -> str:
    """Text of `data`: by its label, as UTF-8, as CP949, and (slow, so only with `guess`) by statistics.

    Bytes that were cut, not `whole`, may end inside a character.
    """
    codec = codec_for(label)
    if b"\x1b" in data:
        codec = _escape_codec(data) or codec
    elif codec not in _NOT_ASCII_BASED and data.isascii():
        return data.decode("ascii")
    tries = [codec, "utf-8", "cp949"] if codec in _EMPTY_PROMISES else [codec, "utf-8"]
    if codec == "cp1252":  # in which nearly everything is a text, and which old webmail writes on any
        tries = ["utf-8", *(["cp949"] if _KOREAN.search(data) else []), codec]
    for name in tries:
        text = _strictly(data, name, whole)
        if text is not None:
            return text
    damaged = [data.decode(name, "replace") for name in tries if name]
    best = min(damaged, key=lambda text: text.count("\ufffd"))
    if guess and codec in _EMPTY_PROMISES and best.count("\ufffd") > len(best) // 100:
        return _statistically(data) or best
    return best


def decode_header(data: bytes) -> str:
    """Text of a header that carries bytes above ASCII without saying of which charset."""
    if b"\x1b" in data:
        return decode(data, guess=False)
    for name in ("utf-8", "cp949"):
        text = _strictly(data, name)
        if text is not None:
            return text
    return data.decode("latin-1")


def _escape_codec(data: bytes) -> str | None:
    if _KOREAN_ESCAPE in data:
        return "iso2022_kr"
    return "iso2022_jp_2" if _JAPANESE_ESCAPE.search(data) else None


def _strictly(data: bytes, codec: str | None, whole: bool = True) -> str | None:
    try:
        if codec and not whole:
            return codecs.getincrementaldecoder(codec)().decode(data)
        return data.decode(codec) if codec else None
    except UnicodeError:
        return None


def _statistically(data: bytes) -> str | None:
    from charset_normalizer import from_bytes  # slow to import and rarely needed

    found = from_bytes(data[:_GUESSED_PREFIX], cp_isolation=_CANDIDATES, preemptive_behaviour=False).best()
    return data.decode(found.encoding, "replace") if found else None
