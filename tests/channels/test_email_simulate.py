import socket
from collections.abc import Mapping
from email import message_from_bytes, policy

import pytest

from channels import registry
from channels.api import FrontDoor, Outcome, SimulateError
from channels.email.settings import EmailSettings
from channels.email.simulate import compose, simulate
from tests.channels.email_door import ACCEPTED, listening
from tests.channels.test_email_tls import Papers

SAMPLES = registry.samples("email")
DOOR = FrontDoor(inbox="support", url="http://127.0.0.1:8080/channels/support", public_url="http://gateway.example")
SAMPLE = (
    b"From: Kim <kim@b.example>\nSubject: folded\n subject\nMIME-Version: 1.0\n"
    b'Content-Type: text/plain; charset="ks_c_5601-1987"\nMessage-ID: <old@b.example>\n\n\x8cc\xb9\xe6\n.dot\n'
)


def parsed(overrides: Mapping[str, str]):
    return message_from_bytes(compose(SAMPLE, overrides), policy=policy.default)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
async def test_samples_are_accepted_as_they_stand(sample):
    async with listening() as server:
        settings = server.adapter._settings.model_copy(update={"listen": "{}:{}".format(*server.adapter.address)})
        assert await simulate(settings, DOOR, sample.read_bytes(), {}) == ACCEPTED
        assert await simulate(settings, DOOR, sample.read_bytes(), {}) == ACCEPTED
    first, second = (message_from_bytes(content, policy=policy.default) for content in server.contents)
    assert first["Message-ID"] != second["Message-ID"]
    assert first["Date"].datetime is not None
    assert first["To"] == "support@example.com"
    assert [mail.recipients for mail in server.host.payloads] == [("support@example.com",)] * 2
    assert [mail.mail_from for mail in server.host.payloads] == [first["From"].addresses[0].addr_spec] * 2


def test_what_is_not_overridden_keeps_its_bytes():
    content = compose(SAMPLE, {})
    assert content.endswith(b"\r\n\r\n\x8cc\xb9\xe6\r\n.dot\r\n")
    assert b"Subject: folded\r\n subject\r\n" in content
    assert b"old@b.example" not in content


@pytest.mark.parametrize("charset", ["utf-8", "cp949", "ks_c_5601-1987", "utf-16"])
def test_overrides_in_a_charset(charset: str):
    text = "똠방각하께 여쭙니다.\n뷁"
    mail = parsed({"charset": charset, "text": text, "subject": "펲시 " * 20, "from": "김뷁 <kim@b.example>"})
    part = mail.get_payload(decode=True)
    assert part.decode(charset) == text
    assert mail.get_content_charset() == charset
    if charset == "utf-8":
        assert mail["Subject"].strip() == ("펲시 " * 20).strip()
        assert mail["From"].addresses[0].display_name == "김뷁"
    assert mail["From"].addresses[0].addr_spec == "kim@b.example"


def test_charset_alone_writes_the_sample_anew():
    assert compose(SAMPLE, {"charset": "utf-8"}).endswith(b"65ig67CpDQouZG90DQo=\r\n")


def test_odd_headers_can_be_tried():
    content = compose(SAMPLE, {"from": "a@b.example, c@d.example", "message_id": "<same@b.example>"})
    assert b"From: a@b.example, c@d.example\r\n" in content
    assert b"Message-ID: <same@b.example>\r\n" in content


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"colour": "red", "size": "1"}, "cannot set colour, size; it can set from, to"),
        ({"charset": "klingon"}, "cannot be written in the charset 'klingon'"),
        ({"charset": "ascii", "text": "한글"}, "cannot be written in the charset 'ascii'"),
        ({"to": "nobody@example.com"}, "refused it: 550 5.1.1 no such mailbox here"),
        ({"to": "도움@example.com"}, "refused it: 550 5.1.1 no such mailbox here"),
    ],
)
async def test_refusals_are_said_in_words(overrides: dict[str, str], message: str):
    async with listening() as server:
        settings = server.adapter._settings.model_copy(update={"listen": "{}:{}".format(*server.adapter.address)})
        with pytest.raises(SimulateError, match=message):
            await simulate(settings, DOOR, SAMPLE, overrides)
    assert server.contents == []


async def test_deferred_is_an_error_of_simulate():
    async with listening() as server:
        server.host.outcome = Outcome.DEFERRED
        settings = server.adapter._settings.model_copy(update={"listen": "{}:{}".format(*server.adapter.address)})
        with pytest.raises(SimulateError, match=r"451 4\.3\.0"):
            await simulate(settings, DOOR, SAMPLE, {})


async def test_nobody_listening_says_what_to_do():
    async with listening() as server:
        settings = server.adapter._settings
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(SimulateError, match=f"nothing listens on {listen}: is the gateway running"):
            await simulate(settings.model_copy(update={"listen": listen}), DOOR, SAMPLE, {})


@pytest.mark.parametrize("mode", ["starttls", "required", "implicit"])
async def test_it_encrypts_where_the_inbox_does(tmp_path, mode):
    async with listening(**Papers(tmp_path).settings(mode=mode)) as server:
        settings = server.adapter._settings.model_copy(update={"listen": "{}:{}".format(*server.adapter.address)})
        assert await simulate(settings, DOOR, SAMPLE, {}) == ACCEPTED


async def test_it_writes_to_an_address_that_a_wildcard_takes():
    async with listening(recipients=["team-*@example.com"]) as server:
        settings = server.adapter._settings.model_copy(update={"listen": "{}:{}".format(*server.adapter.address)})
        assert await simulate(settings, DOOR, SAMPLE, {}) == ACCEPTED
    assert server.host.payloads[0].recipients == ("team-sample@example.com",)


async def test_an_inbox_without_an_smtp_server_says_so():
    settings = EmailSettings.model_validate({"type": "email", "recipients": ["a@example.com"]})
    with pytest.raises(SimulateError, match="no SMTP server"):
        await simulate(settings.model_copy(update={"listen": None}), DOOR, SAMPLE, {})
