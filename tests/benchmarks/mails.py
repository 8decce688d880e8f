"""Ordinary mail through the whole normalizer: `python -m tests.benchmarks.mails`. Mails a CPU second, by the median.

Beside it Python's own parser with its old policy, which reads less: it decodes headers and parts, and neither makes
text of HTML, nor splits quotes, nor looks for an author. Rounds alternate, so that a slow spell hits both.
"""

import base64
import email
import quopri
from collections.abc import Callable
from email.header import decode_header
from email.policy import compat32
from statistics import median
from time import process_time

from normalizers.email import MailPayload, heavy, normalize

TARGET = 1_500
"""Mails a second of one core."""
ROUNDS, MAILS = 15, 60

_HEAD = (
    "Received: from mx.acme.example (mx.acme.example [192.0.2.1]) by mx.example.com; Fri, 20 Nov 2026 09:00 +0900\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=2026; h=from:to:subject; bh=" + "x" * 44 + "; b=" + "y" * 344
    + "\r\nFrom: =?utf-8?b?6rmA66+87IiY?= <minsu@acme.example>\r\nTo: support@example.com\r\n"
    "Subject: =?utf-8?b?6rKw7KCcIOyYpOulmA==?=\r\nMessage-ID: <{}@acme.example>\r\nIn-Reply-To: <7@example.com>\r\n"
    "References: <6@example.com> <7@example.com>\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\nMIME-Version: 1.0\r\n"
)  # fmt: skip
_KOREAN = "영수증이 두 번 결제됐어요. 주문 번호는 20261122-0042 입니다. 확인 부탁드립니다.\r\n" * 8
_ENGLISH = "I was charged twice for order 20261122-0042. Could you please check and refund one of them?\r\n" * 8
_QUOTED = (
    "\r\nOn Thu, 19 Nov 2026 at 15:21, Support <support@example.com> wrote:\r\n" + "> Thank you for writing.\r\n" * 10
)
_PAGE = (
    '<html><head><style>p {{color: #333}}</style></head><body><div dir="ltr">{}</div>'
    '<div class="gmail_quote"><blockquote type="cite"><table><tr><td>Thank you for writing.</td></tr></table>'
    "</blockquote></div></body></html>"
)


def plain() -> str:
    """UTF-8, eight bit."""
    return f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{_KOREAN}"


def reply() -> str:
    """With what it answers below it."""
    return f"Content-Type: text/plain; charset=us-ascii\r\n\r\n{_ENGLISH}{_QUOTED}"


def both() -> str:
    """The words twice, as text and as a page, both quoted-printable."""
    head = "--B\r\nContent-Type: text/{}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    page = _PAGE.format("".join(f"<p>{line}</p>" for line in _KOREAN.splitlines()))
    words, shown = (quopri.encodestring(text.encode()).decode() for text in (_KOREAN + _QUOTED, page))
    parts = f"{head.format('plain')}{words}\r\n{head.format('html')}{shown}\r\n--B--\r\n"
    return f"Content-Type: multipart/alternative; boundary=B\r\n\r\n{parts}"


def page_only() -> str:
    """HTML alone, in base64."""
    page = _PAGE.format("".join(f"<p>{line}</p>" for line in _ENGLISH.splitlines()))
    encoded = base64.encodebytes(page.encode()).decode()
    return f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"


def with_file() -> str:
    """Words and a picture of 9 KB."""
    file = base64.encodebytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 36).decode()
    head = "Content-Type: image/png; name*=utf-8''%EC%98%81.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return f"Content-Type: multipart/mixed; boundary=M\r\n\r\n--M\r\n{plain()}\r\n--M\r\n{head}{file}\r\n--M--\r\n"


KINDS: tuple[Callable[[], str], ...] = (plain, reply, both, page_only, with_file)


def mails() -> list[bytes]:
    """As many of each kind."""
    made = [(_HEAD.format(number) + KINDS[number % len(KINDS)]()).encode() for number in range(MAILS)]
    assert not any(heavy(MailPayload(content=content, mail_from="minsu@acme.example")) for content in made)
    return made


def ours(content: bytes) -> None:
    """Everything an envelope needs."""
    normalize(MailPayload(content=content, mail_from="minsu@acme.example", recipients=("support@example.com",)))


def theirs(content: bytes) -> None:
    """Headers and parts, decoded."""
    message = email.message_from_bytes(content, policy=compat32)
    for name in ("from", "to", "subject", "date", "message-id", "references"):
        for word, charset in decode_header(message.get(name, "")):
            if isinstance(word, bytes):
                word.decode(charset or "ascii", "replace")
    for part in message.walk():
        if not part.is_multipart() and isinstance(body := part.get_payload(decode=True), bytes):
            if part.get_content_maintype() == "text":
                body.decode(part.get_content_charset() or "ascii", "replace")


def rate(read: Callable[[bytes], None], contents: list[bytes]) -> float:
    """Mails a CPU second."""
    began = process_time()
    for content in contents:
        read(content)
    return len(contents) / (process_time() - began)


def main() -> None:
    """Print the table."""
    contents = mails()
    rounds = [(rate(ours, contents), rate(theirs, contents)) for _ in range(ROUNDS)]
    us, them = (median(column) for column in zip(*rounds, strict=True))
    size = sum(map(len, contents)) / len(contents) / 1000
    print(f"\nOrdinary mail ({len(KINDS)} kinds, {size:.1f} KB on average), mails per CPU second:")
    print(f"  the whole normalizer               {us:6,.0f}   goal {TARGET:,}")
    print(f"  email.message_from_bytes, decoded  {them:6,.0f}   {us / them:.2f} times as many by the whole normalizer")
    for kind in KINDS:
        made = [(_HEAD.format(number) + kind()).encode() for number in range(MAILS)]
        each = median(rate(ours, made) for _ in range(ROUNDS))
        print(f"    {kind.__name__.replace('_', ' '):<12} {each:6,.0f}")


if __name__ == "__main__":
    main()
