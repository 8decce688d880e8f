"""Amazon SES by SNS: signatures, topics, subscriptions, verdicts, and mail that lies in S3."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web
from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]  # it has no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # it has no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # it has no types
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from channels.api import Refusal
from channels.email.webhooks import s3
from channels.email.webhooks.fetching import fetch
from channels.email.webhooks.ses import Ses
from channels.email.webhooks.settings import BucketSettings
from channels.email.webhooks.sns import signed_text
from normalizers.mailed import Authentication, Dkim, Dmarc, Spf
from tests.channels.webhook_door import (
    CERTIFICATE,
    NOW,
    SUBSCRIBE,
    TO,
    TOPIC,
    arrivals,
    by_ses,
    by_sns,
    certificate,
    internet,
    mail,
    notice,
    open_webhooks,
    post,
    received,
    webhooks,
)
from tests.support import free_port

OTHER_KEY = rsa.generate_private_key(65537, 2048)
BUCKET = {
    "region": "eu-west-1",
    "bucket": "mail-of-example",
    "access_key_id": "AKIAEXAMPLEEXAMPLE00",
    "secret_access_key": "a-secret-of-forty-characters-or-so",
}
IN_S3 = {"type": "S3", "bucketName": "mail-of-example", "objectKey": "in/2026 11/한+1", "topicArn": TOPIC}
CONFIRMATION = {"type": "SubscriptionConfirmation", "token": "abc", "subscribe_url": SUBSCRIBE, "subject": None}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", ["Amazon SES Email Receipt Notification", None])
async def test_both_versions_of_the_signature_are_good(version: str, subject: str | None):
    async with open_webhooks() as door:
        document = notice(received(mail()), signature_version=version, subject=subject)
        assert (await post(door, by_sns(document)))[0] == 200
        assert (await post(door, by_sns(document)))[0] == 200
        assert internet(door).asked == [CERTIFICATE]
    assert [payload.content for payload in door.host.payloads] == [mail()] * 2


@pytest.mark.parametrize("field", ["Message", "MessageId", "Subject", "Timestamp"])
async def test_every_signed_field_counts(field: str):
    tampered: dict[str, Any] = {field: "another"}
    async with open_webhooks() as door:
        assert (await post(door, by_sns(notice(received(mail())), **tampered)))[0] == 401
    assert door.host.refusals == [(Refusal.FORGED, "signature not by sns")]


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123abcd.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0123abcd.pem",
        "https://sns.amazonaws.com.evil.example/SimpleNotificationService-0123abcd.pem",
        "https://sns.s3.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.s3-eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-0123abcd.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem?x=/../evil",
        "https://sns.eu-west-1.amazonaws.com/other.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem\n",
        "",
    ],
)
async def test_certificates_come_from_sns_or_not_at_all(url: str):
    async with open_webhooks() as door:
        document = notice(received(mail()), signing_cert_url=url)
        assert (await post(door, by_sns(document)))[0] == 401
        assert internet(door).asked == []
    assert door.host.refusals == [(Refusal.FORGED, "certificate from elsewhere than sns")]


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        (certificate(until=timedelta(seconds=-1)), "sns certificate out of its time"),
        (certificate(since=timedelta(seconds=1)), "sns certificate out of its time"),
        (certificate(OTHER_KEY), "signature not by sns"),
        (certificate(ec.generate_private_key(ec.SECP256R1())), "sns certificate of another kind"),
        (certificate(rsa.generate_private_key(65537, 1024)), "sns certificate of another kind"),
        (b"-----BEGIN CERTIFICATE-----\n", "sns certificate unreadable"),
        (b"", "sns certificate unreadable"),
    ],
)
async def test_a_certificate_has_to_be_one(given: bytes, detail: str):
    async with open_webhooks() as door:
        internet(door).there[CERTIFICATE] = given
        assert (await post(door, by_ses(mail())))[0] == 401
    assert door.host.refusals == [(Refusal.FORGED, detail)]


async def test_a_certificate_that_cannot_be_fetched_now_is_asked_for_again():
    async with open_webhooks() as door:
        there = internet(door).there.pop(CERTIFICATE)
        assert (await post(door, by_ses(mail())))[0] == 503
        internet(door).there[CERTIFICATE] = there
        assert (await post(door, by_ses(mail())))[0] == 200


async def test_a_valid_certificate_is_looked_at_again_when_it_is_old():
    async with open_webhooks() as door:
        assert (await post(door, by_ses(mail())))[0] == 200
        (ses,) = (one for one in webhooks(door)._providers if one.name == "ses")
        assert isinstance(ses, Ses)
        ses._signatures._now = lambda: NOW + 2 * 24 * 3600
        assert (await post(door, by_ses(mail())))[0] == 401


@pytest.mark.parametrize(
    ("sending", "status", "detail"),
    [
        (by_ses(mail(), topic_arn=TOPIC + "2"), 403, "another sns topic"),
        (by_sns(notice(received(mail())), SignatureVersion="3"), 401, "unknown version of sns signature"),
        (by_sns(notice(received(mail())), Type="Order"), 403, "unknown type of sns document"),
        (by_sns(notice(received(mail())), Signature=""), 401, "signature not by sns"),
        (by_sns(notice(received(mail())), Signature="not base64!"), 401, "signature not by sns"),
        (by_sns(notice(received(mail())), Signature=5), 401, "no document of sns"),
    ],
)
async def test_what_is_not_for_us_or_not_by_sns(sending: Any, status: int, detail: str):
    async with open_webhooks() as door:
        assert (await post(door, sending))[0] == status
    assert [what for _, what in door.host.refusals] == [detail]
    assert door.host.payloads == []


async def test_raw_delivery_says_what_to_switch_off():
    async with open_webhooks() as door:
        status, answer = await post(door, by_ses(mail()), **{"x-amz-sns-rawdelivery": "true"})
    assert status == 503
    assert "raw message delivery" in answer["detail"]


async def test_a_subscription_to_a_listed_topic_confirms_itself():
    async with open_webhooks() as door:
        assert (await post(door, by_sns(notice("You have chosen …", **CONFIRMATION))))[0] == 200
        assert internet(door).asked == [CERTIFICATE, SUBSCRIBE]
    assert door.host.payloads == []


@pytest.mark.parametrize(
    ("changes", "status", "asked"),
    [
        ({"topic_arn": TOPIC + "2"}, 403, []),
        ({"subscribe_url": "https://evil.example/?Action=ConfirmSubscription"}, 403, [CERTIFICATE]),
        ({"subscribe_url": "https://sns.eu-west-1.amazonaws.com.evil.example/?x"}, 403, [CERTIFICATE]),
        ({"subscribe_url": "http://169.254.169.254/?x"}, 403, [CERTIFICATE]),
        ({"subscribe_url": None}, 403, [CERTIFICATE]),
        ({"subscribe_url": SUBSCRIBE + "2"}, 503, [CERTIFICATE, SUBSCRIBE + "2"]),
    ],
)
async def test_no_other_subscription_does(changes: dict[str, Any], status: int, asked: list[str]):
    async with open_webhooks() as door:
        document = notice("You have chosen …", **(CONFIRMATION | changes))
        assert (await post(door, by_sns(document)))[0] == status
        assert internet(door).asked == asked


async def test_a_forged_confirmation_asks_nobody():
    async with open_webhooks() as door:
        assert (await post(door, by_sns(notice("…", **CONFIRMATION), key=OTHER_KEY)))[0] == 401
        assert internet(door).asked == [CERTIFICATE]


@pytest.mark.parametrize(
    ("message", "status", "words"),
    [
        ("Successfully validated SNS topic for Amazon SES event publishing.", 200, "no mail"),
        (json.dumps([1]), 200, "no mail"),
        ({"notificationType": "Bounce"}, 200, "You seem to have set"),
        ({"eventType": "Delivery"}, 200, "You seem to have set"),
        (received(None), 503, "encoding Base64"),
        (received(None, action=IN_S3), 503, "name it there"),
        (received(None) | {"content": "no base64!"}, 503, "not in base64"),
        (
            {"notificationType": "Received", "content": "x", "receipt": {"recipients": [TO], "action": 5}},
            503,
            "cannot be read",
        ),
    ],
)
async def test_what_brings_no_mail_says_why(message: Any, status: int, words: str):
    async with open_webhooks() as door:
        found, answer = await post(door, by_sns(notice(message)))
    assert found == status
    assert words in answer["detail"]
    assert door.host.payloads == []
    assert len(door.host.refusals) == 1


async def test_content_in_utf_8_is_taken_too():
    document = received(None, action={"type": "SNS", "encoding": "UTF-8"}) | {"content": mail("안녕").decode()}
    async with open_webhooks() as door:
        assert (await post(door, by_sns(notice(document))))[0] == 200
    assert [payload.content for payload in door.host.payloads] == [mail("안녕")]


@pytest.mark.parametrize(
    ("receipt", "found"),
    [
        (
            {},
            Authentication(
                source="ses",
                spf=Spf(result="pass", domain="acme.example"),
                dkim=(Dkim(result="pass"),),
                dmarc=Dmarc(result="pass", domain="acme.example"),
            ),
        ),
        (
            {
                "spfVerdict": {"status": "GRAY"},
                "dkimVerdict": {"status": "PROCESSING_FAILED"},
                "dmarcVerdict": {"status": "FAIL"},
                "dmarcPolicy": "REJECT",
            },
            Authentication(
                source="ses",
                spf=Spf(result="none", domain="acme.example"),
                dkim=(Dkim(result="temperror"),),
                dmarc=Dmarc(result="fail", domain="acme.example", policy="reject"),
            ),
        ),
    ],
)
async def test_verdicts_say_what_they_say_and_no_more(receipt: dict[str, Any], found: Authentication):
    async with open_webhooks() as door:
        seen = arrivals(door)
        await post(door, by_sns(notice(received(mail(), **receipt))))
    (arrival,) = seen
    assert arrival.authentication == found
    assert arrival.peer is None


async def test_mail_in_the_named_bucket_is_fetched():
    async with open_webhooks(webhooks={"ses": {"topics": [TOPIC], "s3": BUCKET}}) as door:
        url = "https://mail-of-example.s3.eu-west-1.amazonaws.com/in/2026%2011/%ED%95%9C%2B1"
        sending = by_sns(notice(received(None, action=IN_S3)))
        assert (await post(door, sending))[0] == 503
        internet(door).there[url] = mail("large")
        assert (await post(door, sending))[0] == 200
        other = by_sns(notice(received(None, action=IN_S3 | {"bucketName": "another"})))
        assert (await post(door, other))[0] == 503
        assert internet(door).asked == [CERTIFICATE, url, url]
    assert [payload.content for payload in door.host.payloads] == [mail("large")]


async def test_mail_in_the_bucket_that_is_too_large_is_not_held_in_memory():
    settings = {"ses": {"topics": [TOPIC], "s3": BUCKET}}
    async with open_webhooks(webhooks=settings, max_size=1000) as door:
        url = "https://mail-of-example.s3.eu-west-1.amazonaws.com/in/2026%2011/%ED%95%9C%2B1"
        internet(door).there[url] = mail("x\n" * 1000)
        assert (await post(door, by_sns(notice(received(None, action=IN_S3)))))[0] == 403
    assert [why for why, _ in door.host.refusals] == [Refusal.OVERSIZED]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"session_token": "a-token-of-sts"},
        {"bucket": "with.dots"},
        {"region": "cn-north-1"},
        {"endpoint": "http://127.0.0.1:5000"},
    ],
)
def test_requests_to_s3_are_signed_as_amazons_own_library_signs(changes: dict[str, str], monkeypatch):
    bucket = BucketSettings.model_validate(BUCKET | changes)
    ours = s3.get(bucket, "in/2026 11/한+~(1)", NOW)
    token = changes.get("session_token")
    theirs = AWSRequest("GET", ours.url, headers={"X-Amz-Content-SHA256": ours.headers["x-amz-content-sha256"]})
    signer = S3SigV4Auth(Credentials(BUCKET["access_key_id"], BUCKET["secret_access_key"], token), "s3", bucket.region)
    moment = datetime.fromtimestamp(NOW, UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment.replace(tzinfo=None))
    signer.add_auth(theirs)
    assert ours.headers["Authorization"] == theirs.headers["Authorization"]


async def test_the_fetcher_is_bounded_and_follows_nobody():
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/elsewhere":
            raise web.HTTPFound("/small")
        return web.Response(body=b"x" * {"/small": 10, "/large": 100_000}.get(request.path, 0), status=200)

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        url = f"http://127.0.0.1:{port}"
        assert await fetch(f"{url}/small") == b"x" * 10
        assert len(await fetch(f"{url}/large", limit=100_000)) == 100_000
        for path in ("/large", "/elsewhere"):
            with pytest.raises(OSError, match="answered"):
                await fetch(url + path)
    finally:
        await runner.cleanup()
    with pytest.raises(OSError, match="Client"):
        await fetch(url)


def test_the_text_that_is_signed_is_that_of_the_documentation():
    document = msgspec.structs.replace(notice("My Test Message"), subject=None, timestamp="2019-01-31T04:37:04.321Z")
    assert signed_text(document) == (
        b"Message\nMy Test Message\nMessageId\n5e2f0c9d\nTimestamp\n2019-01-31T04:37:04.321Z\n"
        b"TopicArn\n" + TOPIC.encode() + b"\nType\nNotification\n"
    )
