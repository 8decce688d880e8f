"""Amazon SES: receipt rules with an SNS action (or an S3 action that tells SNS), to an HTTPS subscription.

200 taken, or a subscription confirmed · 401 not by SNS · 403 another topic, not for us, too large, a loop: final, as
all 4xx are · 503 deferred, or set up so that there is no mail in it: tried again as the topic's delivery policy says.
"""

import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from channels.api import Refusal
from channels.email.webhooks import s3
from channels.email.webhooks.fetching import fetch
from channels.email.webhooks.provider import UNREADABLE, Answer, Handed, Post, TurnedAway, statuses
from channels.email.webhooks.receipts import Received, authentication
from channels.email.webhooks.settings import SesSettings
from channels.email.webhooks.sns import Fetch, Notice, Signatures, may_subscribe

RAW_DELIVERY: Final = "x-amz-sns-rawdelivery"
LARGEST: Final = 1024 * 1024
"""Bytes of one request; SNS itself stops at 256 KB."""

FetchObject = Callable[[s3.Request, int], Awaitable[bytes]]
"""At most so many bytes. Raises OSError."""


async def fetch_object(request: s3.Request, limit: int) -> bytes:
    """From S3."""
    return await fetch(request.url, headers=request.headers, limit=limit)


class _Kind(msgspec.Struct, rename="camel"):
    notification_type: object = None


class Ses:
    """Topics of ours only, and of them only what SNS signed."""

    name = "ses"
    paths: tuple[str, ...] = ("/ses",)
    statuses = statuses()

    def __init__(
        self,
        settings: SesSettings,
        max_size: int,
        *,
        fetch: Fetch = fetch,
        fetch_object: FetchObject = fetch_object,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._max_size, self._now = settings, max_size, now
        self._fetch, self._fetch_object = fetch, fetch_object
        self._signatures = Signatures(fetch, now)

    def limit(self, max_size: int) -> int:
        """What SNS can send at most, and then some."""
        return LARGEST

    def admit(self, headers: Mapping[str, str], peer: str) -> None:
        """Raw delivery leaves the signature out."""
        if RAW_DELIVERY in headers:
            words = 'Switch "Enable raw message delivery" of the subscription off: raw messages are not signed.'
            raise TurnedAway(Answer.MEND, "sns raw delivery", words, Refusal.FORGED)

    async def read(self, post: Post) -> Handed:
        """A notification of a received mail; subscriptions to our topics are confirmed here."""
        try:
            notice = msgspec.json.decode(post.body, type=Notice)
        except UNREADABLE:
            raise TurnedAway(
                Answer.UNPROVEN, "no document of sns", "This is no document of SNS.", Refusal.FORGED
            ) from None
        if notice.topic_arn not in self._settings.topics:
            words = "The topic is not among ses.topics of this inbox."
            raise TurnedAway(Answer.NEVER, "another sns topic", words, Refusal.FORGED)
        await self._signatures.verify(notice)
        if notice.type == "SubscriptionConfirmation":
            raise await self._confirmed(notice)
        if notice.type != "Notification":
            raise TurnedAway(Answer.DONE, "sns subscription ended", "Nobody will be told of mail here any more.")
        return await self._mail(notice)

    async def _confirmed(self, notice: Notice) -> TurnedAway:
        url = notice.subscribe_url
        if url is None or not may_subscribe(url):
            return TurnedAway(Answer.NEVER, "subscribe url elsewhere than sns", "SubscribeURL is not at SNS.")
        try:
            await self._fetch(url)
        except OSError:
            return TurnedAway(Answer.LATER, "sns subscription not confirmed", "SNS could not be reached just now.")
        return TurnedAway(Answer.DONE, "sns subscription confirmed", "The subscription is confirmed.")

    async def _mail(self, notice: Notice) -> Handed:
        try:
            kind = msgspec.json.decode(notice.message, type=_Kind).notification_type
        except UNREADABLE:
            # SES itself sends a line of text when a topic is chosen.
            raise TurnedAway(Answer.DONE, "sns message that is no mail", "This tells of no mail.") from None
        if kind != "Received":
            words = "You seem to have set a topic for bounces, complaints or deliveries: mail comes by receipt rules."
            raise TurnedAway(Answer.DONE, "ses event where mail is expected", words)
        try:
            received = msgspec.json.decode(notice.message, type=Received)
        except UNREADABLE:
            raise TurnedAway(Answer.MEND, "ses receipt of another shape", "The receipt cannot be read.") from None
        return Handed(
            content=await self._content(received),
            mail_from=received.mail.source or "",
            null_sender=received.mail.source == "",
            recipients=received.receipt.recipients,
            authentication=authentication(received),
        )

    async def _content(self, received: Received) -> bytes:
        action, bucket = received.receipt.action, self._settings.s3
        if received.content:
            return _decoded(received.content, action.encoding)
        if action.type != "S3":
            raise TurnedAway(
                Answer.MEND, "ses without the mail", "Give the receipt rule an SNS action, encoding Base64."
            )
        if bucket is None or action.bucket_name != bucket.bucket:
            words = (
                "The mail is in a bucket that ses.s3 of this inbox does not name: name it there, or, for mail of up to "
                "150 KB, give the rule an SNS action with the encoding Base64 in place of the S3 action."
            )
            raise TurnedAway(Answer.MEND, "ses mail in an unknown bucket", words)
        try:
            return await self._fetch_object(s3.get(bucket, action.object_key, self._now()), self._max_size + 1)
        except OSError:
            raise TurnedAway(Answer.LATER, "ses mail out of reach", "The mail cannot be fetched just now.") from None


def _decoded(content: str, encoding: str) -> bytes:
    if encoding.upper() != "BASE64":
        return content.encode("utf-8", "surrogatepass")
    try:
        return b64decode("".join(content.split()), validate=True)
    except (Base64Error, ValueError):
        raise TurnedAway(Answer.MEND, "ses content of no encoding", "The content is not in base64.") from None
