"""Mailgun's routes, forwarding to an address that ends in `mime`.

200 taken · 406 not for us, too large, a loop: the only other answer after which Mailgun does not try again · 401
unsigned or stale · 422 no raw message · 503 deferred. After any but the first two it tries again, for 8 hours.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from channels.api import Refusal
from channels.email.webhooks.forms import parse_form
from channels.email.webhooks.provider import Answer, Fields, Handed, Post, TurnedAway, aside, forged, statuses
from channels.email.webhooks.settings import MailgunSettings
from channels.verify import fresh, hmac_sha256_hex, signed

_MOST_TOKENS = 100_000
_LONGEST_TOKEN = 200
_BESIDE_THE_MAIL = 1024 * 1024


class Mailgun:
    """The signature is of a time stamp and a token, and not of the mail: so a token vouches for one mail only."""

    name = "mailgun"
    paths: tuple[str, ...] = ("/mailgun/mime", "/mailgun")
    statuses = statuses(never=406, mend=422)

    def __init__(self, settings: MailgunSettings, *, now: Callable[[], float] = time.time) -> None:
        self._keys = settings.signing_keys
        self._window = settings.window.total_seconds()
        self._now = now
        self._vouched: OrderedDict[str, bytes] = OrderedDict()

    def limit(self, max_size: int) -> int:
        """In a form every byte of the mail can take three."""
        return 3 * max_size + _BESIDE_THE_MAIL

    def admit(self, headers: Mapping[str, str], peer: str) -> None:
        """What proves it is in the body."""

    async def read(self, post: Post) -> Handed:
        """One mail for one recipient, or several of the same route."""
        form = await aside(lambda: parse_form(post.content_type, post.body), post)
        self._verify(form)
        if "body-mime" not in form:
            if "event-data" in form or "event" in form:
                words = "You seem to have set a tracking webhook of Mailgun to the address of its routes."
                raise TurnedAway(Answer.NEVER, "mailgun event where mail is expected", words)
            words = "The route posts parsed mail. Let it forward to this address ending in /mailgun/mime."
            raise TurnedAway(Answer.MEND, "mailgun without raw messages", words)
        recipients = tuple(address.strip() for address in form.text("recipient").split(",") if address.strip())
        content = await aside(lambda: form.data("body-mime"), post)
        digest = await aside(lambda: hashlib.sha256(content).digest(), post)
        self._vouch(form.text("token"), digest)
        sender = form.text("sender").strip(" <>")
        return Handed(
            content=content,
            mail_from=sender,
            null_sender="sender" in form and not sender,
            recipients=recipients,
        )

    def _verify(self, form: Fields) -> None:
        timestamp, token = form.text("timestamp"), form.text("token")
        message = (timestamp + token).encode("utf-8", "replace")
        if not (token and len(token) <= _LONGEST_TOKEN):
            raise forged("no token of mailgun", "There is no signature in this form.")
        if not signed(form.text("signature"), message, self._keys, hmac_sha256_hex):
            raise forged("signature of no mailgun key", "The signature is not by the HTTP webhook signing key.")
        if not fresh(timestamp, self._window, now=self._now):
            raise forged("time stamp of mailgun", "The time stamp is too far from now.")

    def _vouch(self, token: str, digest: bytes) -> None:
        """Whoever overheard a token could sign a mail of his own with it; the same mail again is a retry."""
        if self._vouched.setdefault(token, digest) != digest:
            words = "This token has come with another mail before."
            raise TurnedAway(Answer.UNPROVEN, "token of another mail", words, Refusal.FORGED)
        if len(self._vouched) > _MOST_TOKENS:
            self._vouched.popitem(last=False)
