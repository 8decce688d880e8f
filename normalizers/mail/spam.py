"""What a mail server in front says of spam. Only a yes is told: a sender can write a no, and gains nothing by a yes."""

import re

from normalizers.mail.headers import Headers
from normalizers.mailed import Spam

_LONGEST = 2000
_GREATEST = 10_000.0

# Header: what says yes in it, and where the score stands.
_YES = r"\s*(?:yes|true|spam)\b"
_SCORE = r"score\s*=\s*(-?\d+(?:\.\d+)?)"
_SCL = r"\bscl[:=]\s*([5-9])\b"
_TABLE = {
    "X-Spam-Flag": (_YES, ""),
    "X-Spam-Status": (_YES, _SCORE),
    "X-Spam": (_YES, ""),
    "X-Spamd-Result": (r"[^:;]{0,100}:\s*true\b", r"\[\s*(-?\d+(?:\.\d+)?)\s*/"),
    "X-Rspamd-Action": (r"\s*(?:add[ _]header|rewrite[ _]subject|reject|quarantine)\b", ""),
    "X-SES-Spam-Verdict": (r"\s*fail\b", ""),
    "X-MS-Exchange-Organization-SCL": (r"\s*[5-9]\s*$", r"([5-9])"),
    "X-Forefront-Antispam-Report": (rf".*(?:\bsfv:spm\b|{_SCL})", _SCL),
    "X-Mailgun-SFlag": (_YES, ""),
    "X-Barracuda-Spam-Status": (_YES, _SCORE),
    "X-Gm-Spam": (r"\s*1\b", ""),
}
_RULES = [
    (name, name.lower(), re.compile(yes, re.IGNORECASE), re.compile(score, re.IGNORECASE) if score else None)
    for name, (yes, score) in _TABLE.items()
]
_SCORES = ("x-spam-score", "x-rspamd-score", "x-mailgun-sscore")
_NUMBER = re.compile(r"\s*(-?\d{1,6}(?:\.\d{1,6})?)")


def spam_of(headers: Headers) -> Spam | None:
    """The first header that says so."""
    for shown, name, yes, score in _RULES:
        if name in headers and yes.match(line := headers.first(name)[:_LONGEST]):
            found = score.search(line) if score else None
            return Spam(header=shown, score=_bounded(found[1]) if found and found[1] else _separate_score(headers))
    return None


def _separate_score(headers: Headers) -> float | None:
    for name in _SCORES:
        if name in headers and (number := _NUMBER.match(headers.first(name)[:100])):
            return _bounded(number[1])
    return None


def _bounded(number: str) -> float | None:
    value = float(number)
    return value if abs(value) <= _GREATEST else None
