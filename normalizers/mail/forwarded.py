"""Who wrote what is passed on to us: evidence of the forwarder's program, and never the requester."""

import re
from collections.abc import Sequence

from normalizers.mail.headers import Headers, read_headers, unfold
from normalizers.mail.mailboxes import read_mailboxes
from normalizers.mail.mime import Part
from normalizers.mailed import Correspondent
from normalizers.notes import Notes

_MAILS = ("message/rfc822", "message/global")
_LONGEST_TEXT = 64 * 1024
_LONGEST_HEADER = 64 * 1024
_LONGEST_LINE = 500
_MOST_LINES = 12

_SUBJECT = re.compile(
    r"\s*[\[(]?(?:fwd?|fw|전달|転送|转发|轉寄|wg|tr|rv|i|enc)[\])]?\s*[:：]|\s*[\[(](?:전달|fwd?|転送)[\])]",
    re.IGNORECASE,
)
_HINTS = ("orward", "전달", "転送", "转发", "轉寄", "eitergeleitet", "ransf", "éexp", "eenviado")
_FORWARDED = re.compile(
    r"^[ \t>*-]{0,40}+(?:(?:begin )?forwarded (?:message|by)|전달된 (?:메시지|메일|이메일)|전달 받은 메일"
    r"|転送(?:された)?メッセージ|転送メール|转发的?(?:邮件|信息|消息)|已转发|轉寄的?(?:郵件|訊息)"
    r"|(?:anfang der )?weitergeleiteten? nachricht|(?:début du )?message (?:transf[ée]r[ée]|réexpédié)"
    r"|(?:inicio del )?mensaje reenviado)",
    re.IGNORECASE | re.MULTILINE,
)
# Also above the quote of an answer, and so read only under a subject that says it is passed on.
_ORIGINAL = re.compile(
    r"^[ \t>]{0,10}+(?:-{2,}+[ \t]*+(?:original m(?:essage|ail)|원본 ?(?:메시지|메일|이메일)|元のメッセージ"
    r"|原始(?:邮件|郵件)|ursprüngliche nachricht|message d'origine|mensaje original)|_{10,}[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_FROM = re.compile(
    r"[ \t>*]{0,10}(?:from|sender|보낸 ?사람|보낸이|발신자?|발송인|差出人|送信者|发件人|發件人|寄件[者人]"
    r"|von|de|expéditeur|remitente)\*?[ \t]{0,3}[:：][ \t*]*([^\n]+)",
    re.IGNORECASE,
)
_MAILTO = re.compile(r"[\[(<]mailto:([^\s\])>]{3,320})[\])>]", re.IGNORECASE)


def original_sender(subject: str | None, text: str, files: Sequence[object]) -> Correspondent | None:
    """From the one mail that is attached, else from the header that a program wrote above what it passes on."""
    attached = [
        part for part in files if isinstance(part, Part) and part.media_type in ("message/rfc822", "message/global")
    ]
    if len(attached) == 1 and (found := _attached(attached[0])):
        return found
    return _quoted(text[:_LONGEST_TEXT], _SUBJECT.match(subject or "") is not None)


def _attached(part: Part) -> Correspondent | None:
    data = part.body(Notes(), _LONGEST_HEADER)[:_LONGEST_HEADER].lstrip(b"\r\n")
    headers: Headers = read_headers(data, 0, len(data), Notes())[0]
    fields = headers.all("from")
    return _correspondent(unfold(fields[0])) if len(fields) == 1 else None


def _quoted(text: str, passed_on: bool) -> Correspondent | None:
    hinted = any(hint in text for hint in _HINTS)
    marker = (_FORWARDED.search(text) if hinted else None) or (_ORIGINAL.search(text) if passed_on else None)
    if marker is None and not passed_on:
        return None
    below = text[marker.start() :] if marker else text
    lines = below.split("\n", _MOST_LINES)[:_MOST_LINES]
    for number, line in enumerate(lines):
        if found := _FROM.match(line[:_LONGEST_LINE]):
            following = " ".join(lines[number + 1 : number + 2])[:_LONGEST_LINE] if "@" not in line else ""
            one = _correspondent(_MAILTO.sub(r"<\1>", f"{found[1]} {following}".replace("*", " ")))
            if one is not None:
                return one
    return None


def _correspondent(line: str) -> Correspondent | None:
    boxes = [box for box in read_mailboxes(line[:2000], Notes()) if box.address]
    return Correspondent(address=boxes[0].address, name=boxes[0].name or None) if len(boxes) == 1 else None
