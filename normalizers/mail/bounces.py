"""Bounces in the words of servers that write no delivery report, or one that nobody can read.

Only mail that looks like one is read: a customer's that talks about a bounce, or passes one on, stays a message.
"""

import logging
import re
from email.message import Message as Carrier

from normalizers.html import html_to_text
from normalizers.mail.automatic import is_daemon
from normalizers.mail.headers import Headers, decode_labelled, decode_words
from normalizers.mail.mailboxes import read_mailboxes
from normalizers.mail.mime import Part
from normalizers.mail.reports import MOST_RECIPIENTS, STATUS, Original, beginning, first_of, original, original_in
from normalizers.mailed import Bounce, Undelivered
from normalizers.notes import Notes
from normalizers.text import clean_line, clean_text, find_email

logging.getLogger("flufl.bounce").disabled = True  # it quotes strangers' mail

_LONGEST_TEXT = 64 * 1024
_LONGEST_LINE = 500
_MOST_LINES = 1000
_LONGEST_DIAGNOSTIC = 500
_NEAR = 1000

# What servers put into the subject of a bounce, in the languages they speak.
_FAILED = re.compile(
    r"undeliver|not deliver|delivery (?:status|failure|has failed|error|problem)|deliver(?:y|ing) fail|returned mail"
    r"|mail deliver(?:y|ing) (?:system|fail)|failure notice|returned to sender|mail system error|message not sent"
    r"|반송|전송 ?실패|발송 ?실패|배달 ?(?:실패|불가|못)|수신 ?거부|전달 ?(?:실패|되지|할 수 없)"
    r"|配信(?:不能|できません|エラー|失敗)|送信(?:エラー|失敗|できません)|配達(?:不能|できません|エラー)"
    r"|退信|投递失败|无法投递|未能送达|投遞失敗|無法傳遞|無法投遞"
    r"|unzustellbar|nicht zugestellt|nicht zustellbar|zustellung fehl|non remis|non distribuable"
    r"|échec de (?:la )?remise"
    r"|no se (?:ha )?(?:podido|pudo) entregar|no entregado|devuelto",
    re.IGNORECASE,
)
_SERVERS = re.compile(
    r"daemon|postmaster|postmeister|mail[ -]?(?:deliver|system|server|admin|gateway)|delivery[ _-](?:sub)?system"
    r"|administrator|system[ _-]?admin|no-?reply|bounce|메일 ?(?:시스템|서버)|관리자|システム|系统|系統|退信",
    re.IGNORECASE,
)
_DELAYED = re.compile(
    r"delay|warning|could not send message for past|still (?:being|trying)"
    r"|지연|遅延|延迟|延遲|verzögert|retard[ée]|retraso",
    re.IGNORECASE,
)
_COPY = re.compile(
    r"^[ \t]*+-{0,60}+[ \t]*+(?:below this line is a copy of|this is a copy of (?:the|your) message|original message"
    r"|unsent message below|원본 메일|원본 메시지|return(?:ed)? message)\b[^\n]{0,200}$",
    re.IGNORECASE | re.MULTILINE,
)
_MESSAGE_ID = re.compile(r"^message-id:[ \t]*<", re.IGNORECASE | re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_ADDRESS = re.compile(r"[\w.+=%/'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_REPLY_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?=[ :-])|(?<![\w.])[45]\.\d{1,3}\.\d{1,3}(?![\w.])")


def looks_bounced(headers: Headers, null_sender: bool) -> bool:
    """Whether a server may have written it because a mail of ours did not arrive."""
    if "x-failed-recipients" in headers or is_daemon(headers):
        return True
    return (null_sender or is_daemon(headers, or_postmaster=True)) and _FAILED.search(_subject(headers)) is not None


def _is_of_a_server(headers: Headers) -> bool:
    """A person's parcels are returned, too, and their programs write on leave with an empty sender like servers."""
    written = b" ".join(headers.all("from")[:1])[:_LONGEST_LINE].decode("utf-8", "replace")
    return not written.strip() or _SERVERS.search(decode_words(written, Notes())) is not None


def read_bounce(
    root: Part, own: tuple[str, ...], notes: Notes, *, certain: bool
) -> tuple[Bounce, Original, bool] | None:
    """The last of it: whether a mail was given up. None where nothing says that one was not delivered.

    `own`: addresses that are nobody it was sent to. `certain`: it declares itself a report of that kind.
    """
    headers = root.headers
    text = _text(root)
    copy = _COPY.search(text)
    told, copied = (text[: copy.start()], text[copy.end() :]) if copy else (text, "")
    delayed = _DELAYED.search(_subject(headers)) is not None
    failed = _named(headers)
    waiting: list[str] = []
    if not failed:
        failed, waiting = _scanned(headers, told)
    if not failed and not waiting:
        if not (certain or STATUS.search(told) or _is_of_a_server(headers)):
            return None
        found = _beside_code(told, own)
        failed, waiting = ([], found) if delayed else (found, [])
    if not certain and not failed and not waiting and _FAILED.search(_subject(headers)) is None:
        return None
    every = [(address, "failed") for address in failed] + [(address, "delayed") for address in waiting]
    every = every[: MOST_RECIPIENTS + 1]  # one more, so that a cut is told
    recipients = first_of([_undelivered(address, action, told, every) for address, action in every], notes)
    about = original(root)
    if about.message_id is None:
        about = _copied(copied or text)
    return Bounce(recipients=recipients), about, bool(failed) or not (waiting or delayed)


def _subject(headers: Headers) -> str:
    return clean_line(decode_words(headers.first("subject")[:2000], Notes()), 500)


def _named(headers: Headers) -> list[str]:
    """Exim and Gmail name them in the header."""
    line = ", ".join(value.decode("ascii", "replace") for value in headers.all("x-failed-recipients")[:10])
    found = (find_email(box.address) for box in read_mailboxes(line[:20_000], Notes()) if box.address)
    return list(dict.fromkeys(address for address in found if address))


def _scanned(headers: Headers, text: str) -> tuple[list[str], list[str]]:
    """What flufl.bounce finds, in a mail built of short lines: several of its patterns are quadratic in one."""
    from flufl.bounce import all_failures  # rarely needed

    carrier = Carrier()
    carrier["From"] = headers.first("from").encode("ascii", "replace").decode()[:1000]
    carrier["Content-Type"] = "text/plain"
    carrier.set_payload("\n".join(line[:_LONGEST_LINE] for line in text.split("\n")[:_MOST_LINES]))
    try:
        waiting, failed = all_failures(carrier)
    except Exception:  # some twenty detectors for the oddest of mails: one that fails finds nothing
        return [], []
    return _addresses(failed), _addresses(waiting)


def _addresses(found: frozenset[bytes]) -> list[str]:
    texts = sorted(one.decode("ascii", "replace").strip("<> ") for one in found)
    return list(dict.fromkeys(address for text in texts if (address := find_email(text))))


def _beside_code(text: str, own: tuple[str, ...]) -> list[str]:
    """The first address of every paragraph with an SMTP reply code, else the first of all where there is a code."""
    if not _REPLY_CODE.search(text):
        return []
    coded = [paragraph for paragraph in _BLANK_LINE.split(text) if _REPLY_CODE.search(paragraph)]
    found = dict.fromkeys(address for paragraph in coded if (address := _first_stranger(paragraph, own)))
    first = None if found else _first_stranger(text, own)
    return [first] if first else list(found)


def _first_stranger(text: str, own: tuple[str, ...]) -> str | None:
    for match in _ADDRESS.finditer(text):
        address = find_email(match[0].rstrip(".'"))
        if address and address not in own and not address.startswith(("postmaster@", "mailer-daemon@")):
            return address
    return None


def _undelivered(address: str, action: str, text: str, every: list[tuple[str, str]]) -> Undelivered:
    """What stands between its address and the next says why, else what stands before it."""
    lower = text.lower()
    at = max(lower.find(address), 0)
    after = at + len(address)
    places = [lower.find(other, after, at + _NEAR) for other, _ in every if other != address]
    end = min((place for place in places if place > 0), default=at + _NEAR)
    near = text[at:end]
    if not _REPLY_CODE.search(near):
        near = text[max(at - _NEAR, 0) : end]
    status = STATUS.search(near)
    code = _REPLY_CODE.search(near)
    diagnostic = _BLANK_LINE.split(near[code.start() :], maxsplit=1)[0] if code else ""
    return Undelivered(
        recipient=address,
        action=action,
        status=status[1] if status else None,
        diagnostic=clean_line(diagnostic, _LONGEST_DIAGNOSTIC) or None,
    )


def _copied(text: str) -> Original:
    """Our mail, or its header, at the end of the text."""
    found = _MESSAGE_ID.search(text)
    if found is None:
        return Original()
    before = list(_BLANK_LINE.finditer(text, 0, found.start()))
    return original_in(text[before[-1].end() if before else 0 :])


def _text(root: Part) -> str:
    """The beginning of the first part that has words, plain if there is one."""
    leaves = [leaf for leaf in root.leaves() if leaf.media_type in ("text/plain", "text/html")]
    for leaf in sorted(leaves, key=lambda leaf: leaf.media_type == "text/html"):
        data = beginning(leaf)[:_LONGEST_TEXT]
        text = decode_labelled(data, leaf.parameters.get("charset", ""), Notes(), whole=False)
        words = clean_text(html_to_text(text) if leaf.media_type == "text/html" else text)
        if words.strip():
            return words
    return ""
