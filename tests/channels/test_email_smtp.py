"""The SMTP server over real sockets: what it says, and what arrives."""

import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator
from typing import NoReturn

import aiosmtplib
import pytest
from structlog.testing import capture_logs

from channels.api import Outcome, Receipt, Reference, Refusal
from channels.testing_host import FakeHost
from normalizers.email import MailPayload
from tests.channels.email_door import ACCEPTED, MAIL, PATIENCE, Listening, listening, stuffed
from tests.channels.test_email_data_reader import NOT_AN_END


@pytest.fixture
async def server() -> AsyncIterator[Listening]:
    async with listening() as server:
        yield server


async def test_greeting_names_neither_machine_nor_software(server: Listening):
    client, greeting = await server.connect()
    assert greeting == "220 mail.gateway ESMTP"
    said = [await client.say(line) for line in ("HELO x", "HELP", "VRFY root", "EXPN root", "FROB", "QUIT")]
    for word in (socket.gethostname(), "aiosmtpd", "Python"):
        assert word not in f"{greeting} {said}"


async def test_extensions_are_those_there_are(server: Listening):
    client, _ = await server.connect()
    assert (await client.say("EHLO x")).splitlines() == [
        "250-mail.gateway",
        "250-SIZE 36700160",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-PIPELINING",
        "250 ENHANCEDSTATUSCODES",
    ]


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        (["MAIL FROM:<a@b.example>"], "503 5.5.1"),
        (["EHLO"], "501 5.5.4"),
        (["EHLO x", "RCPT TO:<support@example.com>"], "503 5.5.1"),
        (["EHLO x", "DATA"], "503 5.5.1"),
        (["EHLO x", "MAIL FROM:<a@b.example>", "DATA"], "503 5.5.1"),
        (["EHLO x", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"], "503 5.5.1"),
        (["EHLO x", "MAIL TO:<a@b.example>"], "501 5.5.4"),
        (["EHLO x", "MAIL FROM:"], "501 5.1.7"),
        (["EHLO x", "MAIL FROM:<:>"], "501 5.1.7"),
        (["EHLO x", "MAIL FROM:<((((@b.example>"], "501 5.1.7"),
        (["EHLO x", "MAIL FROM:<"], "501 5.1.7"),
        (["EHLO x", "MAIL FROM:<" + "(" * 3000], "501 5.1.7"),
        (["EHLO x", "MAIL FROM:<a@b.example> SIZE=many"], "501 5.5.4"),
        (["EHLO x", "MAIL FROM:<a@b.example> SIZE=²"], "501 5.5.4"),
        (["EHLO x", "MAIL FROM:<a@b.example> BODY=BINARYMIME"], "501 5.5.4"),
        (["EHLO x", "MAIL FROM:<a@b.example> RET=FULL"], "555 5.5.4"),
        (["EHLO x", "MAIL FROM:<a@b.example> SIZE=36700161"], "552 5.3.4"),
        (["EHLO x", "MAIL FROM:<>", "RCPT TO:<>"], "501 5.1.3"),
        (["EHLO x", "MAIL FROM:<>", "RCPT TO:<support@example.com> NOTIFY=NEVER"], "555 5.5.4"),
        (["EHLO x", "MAIL FROM:<>", "RCPT TO:<support@example.net>"], "550 5.7.1"),
        (["EHLO x", "MAIL FROM:<>", "RCPT TO:<nobody@example.com>"], "550 5.1.1"),
        (["EHLO x", "AUTH PLAIN AGEAYg=="], "502 5.5.1"),
        (["EHLO x", "STARTTLS"], "502 5.5.1"),
        (["EHLO x", "BDAT 5 LAST"], "502 5.5.1"),
        (["비밀번호"], "500 5.5.2"),
        (["GET / HTTP/1.1"], "500 5.5.2"),
        ([""], "500 5.5.2"),
        (["x" * 5000], "500 5.5.2"),
    ],
)
async def test_what_is_wrong_is_said_and_the_session_goes_on(server: Listening, commands: list[str], reply: str):
    client, _ = await server.connect()
    for command in commands:
        answer = await client.say(command)
    assert answer.startswith(f"{reply} ")
    assert (await client.say("EHLO again")).startswith("250")
    assert await client.deliver() == ACCEPTED


@pytest.mark.parametrize("junk", [b"MAIL FROM:<\xff\xfe@b.example>", b"\xff\xfe", b"NOOP \xb0\xa1"])
async def test_bytes_that_are_no_text_get_a_reply(server: Listening, junk: bytes):
    client = await server.client()
    client.send(junk + b"\r\n")
    assert (await client.reply())[:4] in ("500 ", "501 ")
    assert await client.deliver() == ACCEPTED


@pytest.mark.parametrize(
    ("sender", "mail_from"),
    [
        ("<>", ""),
        ("<root>", "root"),
        ("<A.B+c@D.example>", "A.B+c@D.example"),
        (" <a@b.example> SIZE=40 BODY=8BITMIME", "a@b.example"),
        ("a@b.example", "a@b.example"),
        ("<@relay.example:a@b.example>", "a@b.example"),
        ("<민수@예시.example> SMTPUTF8", "민수@예시.example"),
        ("<민수@예시.example>", "민수@예시.example"),
    ],
)
async def test_envelope_sender(server: Listening, sender: str, mail_from: str):
    client = await server.client()
    assert await client.deliver(sender=sender) == ACCEPTED
    assert server.host.payloads[0].mail_from == mail_from


async def test_recipients_are_ours_in_any_case_with_any_tag_once():
    async with listening(recipients=["support@example.com", "도움@example.com"]) as server:
        client = await server.client()
        await client.say("MAIL FROM:<a@b.example> SMTPUTF8")
        for to in ("Support@EXAMPLE.com", "support@example.com", "support+t.Xy@example.com", "도움@example.com"):
            assert await client.say(f"RCPT TO:<{to}>") == "250 2.1.5 recipient ok"
        await client.say("DATA")
        client.send(stuffed(MAIL))
        assert await client.reply() == ACCEPTED
    assert server.host.payloads == [
        MailPayload(
            content=MAIL,
            mail_from="a@b.example",
            ours=("support@example.com", "도움@example.com"),
            recipients=("support@example.com", "support+t.Xy@example.com", "도움@example.com"),
        )
    ]


@pytest.mark.parametrize(
    ("to", "recipient"),
    [
        ("<postmaster>", "postmaster@example.com"),
        ("<Postmaster@example.com>", "postmaster@example.com"),
        ('<"support"@example.com>', "support@example.com"),
        ('<"sup\\port+t.Xy"@example.com>', "support+t.Xy@example.com"),
    ],
)
async def test_odd_recipients_are_ours_too(server: Listening, to: str, recipient: str):
    assert await (await server.client()).deliver(to=to) == ACCEPTED
    assert server.host.payloads[0].recipients == (recipient,)


@pytest.mark.parametrize("variant", NOT_AN_END)
async def test_no_second_message_is_smuggled_in(server: Listening, variant: bytes):
    hidden = b"MAIL FROM:<x@y.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\nsecond\r\n.\r\n"
    client = await server.client()
    await client.begin()
    client.send(b"Subject: first\r\n\r\nhi" + variant + hidden)
    assert await client.reply() == ACCEPTED
    assert await client.say("NOOP") == "250 2.0.0 ok"
    (content,) = server.contents
    assert b"second" in content


@pytest.mark.parametrize(
    "message",
    [
        b"Subject: dots\r\n\r\n.\r\n..\r\n.leading\r\n. \r\nend.\r\n",
        b"Subject: long\r\n\r\n" + b"x" * 5000 + b"\r\nshort\r\n",
        b"Subject: longer\r\n\r\n" + b"y" * 1_000_000 + b"\r\n",
        b"Subject: nul\r\n\r\n\x00a\x00\x00\r\n",
        b"Subject: \xbb\xe7\xc0\xfc\r\n\r\n\x8cc\xbe\xe7\xb2\xe1 \xff\x80\r\n",
        b"\r\n",
        b"",
    ],
    ids=["dots", "5000 bytes a line", "1 MB a line", "NUL", "cp949", "empty line", "empty"],
)
async def test_message_arrives_byte_for_byte(server: Listening, message: bytes):
    client = await server.client()
    assert await client.deliver(message) == ACCEPTED
    assert server.contents == [message]


async def test_pipelined_session_cut_anywhere(server: Listening):
    one = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n" + stuffed(MAIL)
    session = b"EHLO x\r\n" + one + b"RSET\r\n" + one + b"QUIT\r\n"
    for step in (1, 13, len(session)):
        server.host.payloads.clear()
        client, _ = await server.connect()
        for at in range(0, len(session), step):
            client.send(session[at : at + step])
            await asyncio.sleep(0)
        codes = [(await client.reply())[:3] for _ in range(12)]
        transaction = ["250", "250", "354", "250"]
        assert codes == ["250", *transaction, "250", *transaction, "221", ""]
        assert server.contents == [MAIL, MAIL]


async def test_everything_at_once_and_half_closed_is_still_served(server: Listening):
    client, _ = await server.connect()
    client.send(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n" + stuffed(MAIL))
    client.writer.write_eof()
    said = [await client.reply() for _ in range(6)]
    assert said[-2:] == [ACCEPTED, ""]


async def test_messages_of_a_session_do_not_mix(server: Listening):
    client = await server.client()
    assert await client.deliver(sender="<one@b.example>") == ACCEPTED
    await client.say("MAIL FROM:<two@b.example>")
    await client.say("RCPT TO:<support+two@example.com>")
    assert await client.say("RSET") == "250 2.0.0 ok"
    assert await client.say("DATA") == "503 5.5.1 send MAIL first"
    assert await client.deliver(sender="<three@b.example>") == ACCEPTED
    assert [(mail.mail_from, mail.recipients) for mail in server.host.payloads] == [
        ("one@b.example", ("support@example.com",)),
        ("three@b.example", ("support@example.com",)),
    ]


async def test_common_clients_are_understood(server: Listening):
    host, port = server.adapter.address
    await aiosmtplib.send(MAIL, sender="a@b.example", recipients=["support@example.com"], hostname=host, port=port)

    def send() -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP(host, port, local_hostname="x", timeout=PATIENCE) as client:
            return client.sendmail("a@b.example", ["support@example.com", "no@example.com"], MAIL)

    assert list(await asyncio.to_thread(send)) == ["no@example.com"]
    assert server.contents == [MAIL, MAIL]


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (Outcome.ACCEPTED, ACCEPTED),
        (Outcome.REJECTED, "250 2.0.0 accepted"),
        (Outcome.DEFERRED, "451 4.3.0 cannot take the message now, try again later"),
    ],
)
async def test_outcomes(server: Listening, outcome: Outcome, reply: str):
    server.host.outcome = outcome
    client = await server.client()
    assert await client.deliver() == reply


class Burying(FakeHost):
    async def intake(self, payload: object, /) -> Receipt:
        return Receipt(outcome=Outcome.REJECTED, references=(Reference(id="dead-1", reference="T-2222-3333"),))


async def test_mail_kept_as_a_dead_letter_can_be_found_by_its_id():
    async with listening(Burying("support")) as server:
        assert await (await server.client()).deliver() == "250 2.0.0 accepted dead-1"


class Broken(FakeHost):
    async def intake(self, payload: object, /) -> NoReturn:
        raise RuntimeError("password=hunter2")

    def refused(self, why: Refusal, detail: str) -> NoReturn:
        raise ConnectionRefusedError("password=한글 hunter2")


async def test_a_bug_of_ours_is_a_try_again_later_and_shows_nothing():
    async with listening(Broken("support")) as server:
        with capture_logs() as logged:
            client = await server.client()
            first = await client.deliver()
            await client.say("MAIL FROM:<a@b.example>")
            second = await client.say("RCPT TO:<nobody@example.com>")
        assert await client.say("NOOP") == "250 2.0.0 ok"
    assert first == second == "451 4.3.0 cannot take the message now, try again later"
    assert [(entry["event"], entry["error"]) for entry in logged] == [
        ("session.failed", "RuntimeError"),
        ("session.failed", "ConnectionRefusedError"),
    ]
    assert "hunter2" not in str(logged)
