"""SendGrid's Inbound Parse, with "POST the raw, full MIME message".

200 taken · 401 no signature or credential of ours · 403 not for us, too large, a loop: dropped by SendGrid, as all 4xx
are · 503 deferred, or set up so that there is no raw message: tried again for 3 days, then dropped.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

import msgspec

from channels.email.webhooks.credentials import is_authorized
from channels.email.webhooks.forms import parse_form
from channels.email.webhooks.keys import is_signed_by
from channels.email.webhooks.provider import UNREADABLE, Answer, Handed, Post, TurnedAway, aside, forged, statuses
from channels.email.webhooks.settings import SendGridSettings

SIGNATURE: Final = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP: Final = "X-Twilio-Email-Event-Webhook-Timestamp"

_BESIDE_THE_MAIL = 1024 * 1024


class _Envelope(msgspec.Struct):
    sender: str | None = msgspec.field(name="from", default=None)
    to: tuple[str, ...] = ()


class SendGrid:
    """No window of freshness: a retry of three days later may bear the first time, and a replay is a duplicate."""

    name = "sendgrid"
    paths: tuple[str, ...] = ("/sendgrid",)
    statuses = statuses()

    def __init__(self, settings: SendGridSettings) -> None:
        self._settings = settings

    def limit(self, max_size: int) -> int:
        """The mail as it is, and a page of fields."""
        return max_size + _BESIDE_THE_MAIL

    def admit(self, headers: Mapping[str, str], peer: str) -> None:
        """The password and whether there is a signature at all."""
        if self._settings.credentials and not is_authorized(headers, self._settings.credentials):
            raise forged("no credential of sendgrid", "The address of the webhook needs user:password@ of this inbox.")
        if self._settings.public_keys and SIGNATURE not in headers:
            raise forged("no signature of sendgrid", f"{SIGNATURE} is missing: switch the signature verification on.")

    async def read(self, post: Post) -> Handed:
        """The signature is of the time stamp and the body as it came."""
        if self._settings.public_keys and not await aside(lambda: self._is_signed(post), post):
            raise forged("signature of no sendgrid key", f"{SIGNATURE} does not fit the body.")
        form = await aside(lambda: parse_form(post.content_type, post.body), post)
        if "email" not in form:
            words = 'Tick "POST the raw, full MIME message" in the Inbound Parse settings of this host.'
            raise TurnedAway(Answer.MEND, "sendgrid without raw messages", words)
        envelope = _envelope(form.text("envelope"))
        return Handed(
            content=await aside(lambda: form.data("email"), post),
            mail_from=envelope.sender or "",
            null_sender=envelope.sender == "",
            recipients=envelope.to,
            peer=_address(form.text("sender_ip")),
        )

    def _is_signed(self, post: Post) -> bool:
        timestamp = post.headers.get(TIMESTAMP, "").encode("utf-8", "surrogatepass")
        return is_signed_by(self._settings.public_keys, post.headers.get(SIGNATURE, ""), timestamp, post.body)


def _envelope(document: str) -> _Envelope:
    try:
        return msgspec.json.decode(document, type=_Envelope)
    except UNREADABLE:
        raise TurnedAway(Answer.MEND, "sendgrid post without an envelope", "There is no envelope in it.") from None


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return None
