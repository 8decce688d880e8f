"""Authentication-Results (RFC 8601), as a mail server in front of us wrote it."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, cast, get_args

from channels.email.authentication.names import dns_name
from normalizers.mailed import Authentication, Dkim, DkimResult, Dmarc, DmarcPolicy, DmarcResult, Spf, SpfResult

LONGEST: Final = 16 * 1024
MOST_RESULTS: Final = 50
MOST_SIGNATURES: Final = 8

_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^"();\\]+|[();]|\\.?|"', re.DOTALL)
_IN_COMMENT: Final = re.compile(r"[^()\\]+|[()]|\\.?", re.DOTALL)  # a quote is but a quote there
_NAME: Final = r"[A-Za-z][\w-]*"
_ITEM: Final = re.compile(
    rf'\s*({_NAME})(?:\s*/\s*\d+)?(?:\s*\.\s*({_NAME}))?\s*=\s*((?:"(?:[^"\\]|\\.)*"|[^\s"])+)(?=\s|$)', re.ASCII
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_POLICY: Final = re.compile(r"\bp(?:olicy)?\s*=\s*(none|quarantine|reject)\b", re.IGNORECASE)
_OLD_WORDS: Final = {"hardfail": "fail", "error": "temperror", "unknown": "permerror"}


class Result(NamedTuple):
    """One check's, with what it says about it."""

    method: str
    value: str
    properties: dict[str, str]
    comments: str

    def domain(self, *names: str) -> str | None:
        """Of the first such property that is a domain or an address."""
        for name in names:
            if found := dns_name(self.properties.get(name, "").rpartition("@")[2]):
                return found
        return None


def of_server(headers: Sequence[str], authserv_id: str) -> Authentication | None:
    """What the topmost header of that server says; those below it are anybody's.

    RFC 8601 5: the server takes away what comes in under its own id. Others between it and us may have put theirs on
    top. None where it says nothing.
    """
    for header in headers:
        if _identity(header).lower() == authserv_id.lower():
            return _understood(parse(header), authserv_id)
    return None


def parse(header: str) -> list[Result]:
    """All of one header's results that keep to the grammar; none of a version that is not known."""
    if len(header) > LONGEST:
        return []
    (head, _), *parts = _parts(header)
    _, _, version = head.strip().rpartition(" ")
    if version.isdigit() and head.strip() != version and version != "1":
        return []
    return [result for part in parts[:MOST_RESULTS] if (result := _result(*part))]


def _identity(header: str) -> str:
    (head, _), *_ = _parts(header[:LONGEST])
    words = head.split()
    return _bare(words[0]) if words else ""


def _parts(header: str) -> list[tuple[str, str]]:
    """What stands between semicolons, without its comments; and those."""
    parts: list[tuple[list[str], list[str]]] = [([], [])]
    depth = 0
    at = 0
    while match := (_IN_COMMENT if depth else _PIECE).match(header, at):
        piece, at = match[0], match.end()
        if piece == "(" or depth:
            depth += (piece == "(") - (piece == ")")
            parts[-1][1].append(piece if depth else " ")
            parts[-1][0].append("" if depth else " ")
        elif piece == ";":
            parts.append(([], []))
        else:
            parts[-1][0].append(piece)
    return [("".join(words), "".join(comments)) for words, comments in parts]


def _result(words: str, comments: str) -> Result | None:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(words.rstrip()):
        item = _ITEM.match(words, at)
        if item is None:
            return None
        name = f"{item[1]}.{item[2]}" if item[2] else item[1]
        found.append((name.lower(), _bare(item[3])))
        at = item.end()
    if not found:
        return None
    (method, value), *properties = found
    return Result(method, value.lower(), dict(reversed(properties)), comments)


def _bare(value: str) -> str:
    """Quoted strings opened, wherever they stand in it."""
    return re.sub(r'"((?:[^"\\]|\\.)*)"', lambda quoted: _ESCAPED.sub(r"\1", quoted[1]), value)


def _understood(results: Sequence[Result], source: str) -> Authentication:
    spf = [result for result in results if result.method == "spf" and _word(result, SpfResult)]
    spf.sort(key=lambda result: "smtp.mailfrom" not in result.properties)
    signed = [result for result in results if result.method == "dkim" and _word(result, DkimResult)]
    dmarc = {_dmarc(result) for result in results if result.method == "dmarc" and _word(result, DmarcResult)}
    return Authentication(
        source=source,
        spf=_spf(spf[0]) if spf else None,
        dkim=tuple(map(_dkim, signed[:MOST_SIGNATURES])),
        dmarc=dmarc.pop() if len(dmarc) == 1 else None,
    )


def _spf(result: Result) -> Spf:
    return Spf(
        result=cast("SpfResult", _word(result, SpfResult)),
        domain=result.domain("smtp.mailfrom", "smtp.mail", "smtp.helo"),
    )


def _dkim(result: Result) -> Dkim:
    return Dkim(
        result=cast("DkimResult", _word(result, DkimResult)),
        domain=result.domain("header.d", "header.i"),
        selector=result.properties.get("header.s", "").lower()[:63] or None,
    )


def _dmarc(result: Result) -> Dmarc:
    stated = result.properties.get("policy.published-domain-policy") or result.properties.get("policy.dmarc", "")
    inside = _POLICY.search(result.comments)
    policy = stated.lower() if stated.lower() in get_args(DmarcPolicy) else inside[1].lower() if inside else None
    return Dmarc(
        result=cast("DmarcResult", _word(result, DmarcResult)),
        domain=result.domain("header.from"),
        policy=cast("DmarcPolicy | None", policy),
    )


def _word(result: Result, known: object) -> str:
    """The result as we say it; empty where it is none of ours."""
    word = _OLD_WORDS.get(result.value, result.value)
    return word if word in get_args(known) else ""
