"""TLS of the SMTP server: offered, required or from the first byte; and what the certificate may do meanwhile."""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import trustme
import uvloop
from structlog.testing import capture_logs

from channels.email.smtp import certificate
from channels.email.smtp.settings import TlsSettings
from channels.testing_host import FakeHost
from tests.channels.email_door import ACCEPTED, MAIL, PATIENCE, Client, Listening, listening, stuffed
from tests.support import until

HELLO = "250-mail.gateway\n250-SIZE 36700160\n250-8BITMIME\n250-SMTPUTF8\n250-PIPELINING\n"


class Papers:
    """Certificate and key on disk, and a client's trust in them."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.certificate, self.key = folder / "mail.pem", folder / "mail.key"
        self.issue()

    def issue(self) -> int:
        """A new pair; the serial number of the certificate."""
        pair = self._authority.issue_cert("127.0.0.1")
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
        self.key.write_bytes(pair.private_key_pem.bytes())
        return self.serial(pair.cert_chain_pems[0].bytes())

    def settings(self, **more: str) -> dict[str, Any]:
        return {"tls": {"certificate": str(self.certificate), "key": str(self.key), **more}}

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    @staticmethod
    def serial(pem: bytes) -> int:
        from cryptography import x509

        return x509.load_pem_x509_certificate(pem).serial_number


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers(tmp_path)


@pytest.fixture
async def server(papers: Papers) -> AsyncIterator[Listening]:
    async with listening(**papers.settings()) as server:
        yield server


async def secured(client: Client, papers: Papers) -> ssl.SSLObject:
    """After the server's 220: the client's side of the handshake."""
    await asyncio.wait_for(client.writer.start_tls(papers.context(), server_hostname="127.0.0.1"), PATIENCE)
    found = client.writer.get_extra_info("ssl_object")
    assert isinstance(found, ssl.SSLObject)
    return found


async def starttls(client: Client, papers: Papers) -> int:
    """The serial number of the certificate that is shown."""
    assert await client.say("STARTTLS") == "220 2.0.0 ready to start TLS"
    shown = (await secured(client, papers)).getpeercert(binary_form=True)
    assert shown is not None
    return papers.serial(ssl.DER_cert_to_PEM_cert(shown).encode())


async def test_starttls_is_offered_once_and_auth_never(server: Listening, papers: Papers):
    client, _ = await server.connect()
    assert await client.say("EHLO x") == HELLO + "250-STARTTLS\n250 ENHANCEDSTATUSCODES"
    await starttls(client, papers)
    assert await client.say("EHLO x") == HELLO + "250 ENHANCEDSTATUSCODES"
    assert await client.say("STARTTLS") == "503 5.5.1 TLS is on already"
    assert await client.say("AUTH PLAIN AGEAYg==") == "502 5.5.1 command not implemented"
    assert await client.deliver() == ACCEPTED
    assert await client.say("QUIT") == "221 2.0.0 goodbye"
    assert await client.reply() == ""


async def test_mail_is_taken_without_tls_where_it_is_only_offered(server: Listening):
    assert await (await server.client()).deliver() == ACCEPTED


async def test_whom_the_client_said_to_be_before_is_forgotten(server: Listening, papers: Papers):
    client = await server.client()
    await client.say("MAIL FROM:<a@b.example>")
    await starttls(client, papers)
    assert await client.say("RCPT TO:<support@example.com>") == "503 5.5.1 send MAIL first"
    assert await client.say("MAIL FROM:<a@b.example>") == "503 5.5.1 send EHLO first"


async def test_what_was_slipped_in_before_the_handshake_is_no_command_after_it(server: Listening, papers: Papers):
    client = await server.client()
    slipped_in = b"EHLO evil\r\nMAIL FROM:<evil@b.example>\r\n"
    client.send(b"STARTTLS\r\n" + slipped_in)
    assert await client.reply() == "220 2.0.0 ready to start TLS"
    await secured(client, papers)
    assert await client.say("MAIL FROM:<a@b.example>") == "503 5.5.1 send EHLO first"
    assert await client.say("EHLO x") == HELLO + "250 ENHANCEDSTATUSCODES"
    assert await client.deliver() == ACCEPTED
    assert server.host.payloads[0].mail_from == "a@b.example"


async def test_starttls_takes_no_argument(server: Listening, papers: Papers):
    client = await server.client()
    assert await client.say("STARTTLS now") == "501 5.5.4 syntax error in the argument"
    await starttls(client, papers)


@pytest.mark.parametrize("verb", ["MAIL FROM:<a@b.example>", "RCPT TO:<support@example.com>", "DATA", "VRFY x"])
async def test_without_tls_nothing_is_taken_where_it_is_required(papers: Papers, verb: str):
    async with listening(**papers.settings(mode="required")) as server:
        client = await server.client()
        assert await client.say(verb) == "530 5.7.0 send STARTTLS first"
        assert [(await client.say(line))[:3] for line in ("NOOP", "RSET", "HELP")] == ["250", "250", "214"]
        assert (await client.say("FROB"))[:3] == "500"
        await starttls(client, papers)
        await client.say("EHLO x")
        assert await client.deliver() == ACCEPTED


async def test_tls_from_the_first_byte(papers: Papers):
    async with listening(**papers.settings(mode="implicit")) as server:
        host, port = server.adapter.address
        client = Client(*await asyncio.open_connection(host, port, ssl=papers.context()))
        assert await client.reply() == "220 mail.gateway ESMTP"
        assert await client.say("EHLO x") == HELLO + "250 ENHANCEDSTATUSCODES"
        assert await client.say("STARTTLS") == "503 5.5.1 TLS is on already"
        assert await client.deliver(b"x" * 1_000_000 + b"\r\n") == ACCEPTED
        client.writer.close()
        plain = Client(*await asyncio.open_connection(host, port))
        plain.send(b"EHLO x\r\n")
        assert b"220" not in await asyncio.wait_for(plain.reader.read(), PATIENCE)
        plain.writer.close()


async def test_common_clients_encrypt(server: Listening, papers: Papers):
    host, port = server.adapter.address
    context = papers.context()
    await aiosmtplib.send(
        MAIL, sender="a@b.example", recipients=["support@example.com"], hostname=host, port=port,
        start_tls=True, tls_context=context,
    )  # fmt: skip

    def send() -> None:
        with smtplib.SMTP(host, port, local_hostname="x", timeout=PATIENCE) as client:
            client.starttls(context=context)
            client.sendmail("a@b.example", ["support@example.com"], MAIL)

    await asyncio.to_thread(send)
    assert server.contents == [MAIL, MAIL]


async def test_versions_below_the_minimum_are_refused(papers: Papers):
    old = papers.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(**papers.settings(minimum_version="TLSv1.3")) as server:
        client = await server.client()
        await client.say("STARTTLS")
        with pytest.raises(OSError):  # noqa: PT011 - asyncio's server hangs up without saying why
            await client.writer.start_tls(old, server_hostname="127.0.0.1")
        await starttls(await server.client(), papers)


async def gone(client: Client) -> None:
    await asyncio.wait_for(client.reader.read(), PATIENCE)


async def scene_of_garbage(papers: Papers) -> None:
    async with listening(max_connections=1, **papers.settings()) as server:
        with capture_logs() as logged:
            client = await server.client()
            await client.say("STARTTLS")
            client.send(b"MAIL FROM:<a@b.example>\r\n" * 10)
            await gone(client)
        assert [(one["event"], one["log_level"]) for one in logged] == [("handshake.failed", "info")]
        await starttls(await server.client(), papers)  # the one connection there may be is free again


async def scene_of_a_hang_up(papers: Papers) -> None:
    async with listening(max_connections=1, **papers.settings()) as server:
        with capture_logs() as logged:
            client = await server.client()
            await client.say("STARTTLS")
            client.writer.transport.abort()
            await until(lambda: bool(logged))
        assert [one["event"] for one in logged] == ["handshake.failed"]
        await starttls(await server.client(), papers)


async def scene_of_silence(papers: Papers) -> None:
    async with listening(max_connections=1, idle_timeout="300ms", **papers.settings()) as server:
        with capture_logs() as logged:
            client = await server.client()
            await client.say("STARTTLS")
            await gone(client)
        assert [one["event"] for one in logged] == ["handshake.failed"]
        assert (await server.connect())[1] == "220 mail.gateway ESMTP"


async def scene_of_silence_after_the_handshake(papers: Papers) -> None:
    async with listening(idle_timeout="2s", **papers.settings()) as server:
        client = await server.client()
        await starttls(client, papers)
        assert await client.reply() == "421 4.4.2 timed out, goodbye"
        assert await client.reply() == ""


async def scene_of_half_a_handshake_at_the_end(papers: Papers) -> None:
    async with listening(**papers.settings()) as server:
        client = await server.client()
        await client.say("STARTTLS")
        idle = await server.client()
        await starttls(idle, papers)
        closing = asyncio.create_task(server.close())
        assert await idle.reply() == "421 4.3.2 shutting down, try again later"
        client.writer.close()
        await closing


async def scene_of_a_large_mail(papers: Papers) -> None:
    async with listening(**papers.settings()) as server:
        client = await server.client()
        await starttls(client, papers)
        large = b"x" * 3_000_000 + b"\r\n"
        client.send(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<support@example.com>\r\nDATA\r\n" + stuffed(large))
        assert [(await client.reply())[:3] for _ in range(5)] == ["250", "250", "250", "354", "250"]
        assert server.contents == [large]


async def scene_of_a_client_that_hangs_up_behind_the_dot(papers: Papers) -> None:
    async with listening(**papers.settings()) as server:
        client = await server.client()
        await starttls(client, papers)
        await client.say("EHLO x")
        await client.begin()
        client.send(stuffed(MAIL))
        client.writer.close()
        await asyncio.wait_for(server.host.handed_over.wait(), PATIENCE)
        await server.close()
        assert (server.contents, server.host.finished) == ([MAIL], 1)


SCENES = [
    scene_of_garbage,
    scene_of_a_hang_up,
    scene_of_silence,
    scene_of_silence_after_the_handshake,
    scene_of_half_a_handshake_at_the_end,
    scene_of_a_large_mail,
    scene_of_a_client_that_hangs_up_behind_the_dot,
]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__.removeprefix("scene_of_"))
def test_handshakes_and_their_ends(papers: Papers, scene: Callable[[Papers], Coroutine[Any, Any, None]], loop: str):
    (uvloop if loop == "uvloop" else asyncio).run(scene(papers))


def tls_settings(papers: Papers) -> TlsSettings:
    return TlsSettings.model_validate(papers.settings()["tls"])


@pytest.fixture
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "LOOK_EVERY", 0.0)


async def test_a_new_certificate_needs_no_restart(papers: Papers, always_looking: None):
    async with listening(**papers.settings()) as server:
        before = await starttls(await server.client(), papers)
        after = papers.issue()
        with capture_logs() as logged:
            assert await starttls(await server.client(), papers) == after != before
            assert await starttls(await server.client(), papers) == after
    assert [one["event"] for one in logged] == ["certificate.renewed"]


@pytest.mark.parametrize("harm", ["no PEM", "another key", "gone"])
async def test_a_bad_new_pair_is_said_once_and_the_old_one_kept(papers: Papers, always_looking: None, harm: str):
    async with listening(**papers.settings()) as server:
        before = await starttls(await server.client(), papers)
        if harm == "no PEM":
            papers.certificate.write_bytes(b"half a certif")
        elif harm == "gone":
            papers.key.unlink()
        else:
            papers.key.write_bytes(trustme.CA().issue_cert("x.example").private_key_pem.bytes())
        with capture_logs() as logged:
            for _ in range(3):
                assert await starttls(await server.client(), papers) == before
        after = papers.issue()
        assert await starttls(await server.client(), papers) == after
    assert [one["event"] for one in logged] == ["certificate.kept"]
    assert str(papers.key.parent) not in str(logged)


def test_the_files_are_looked_at_no_more_than_once_a_second(papers: Papers):
    clock = iter((1000.0, 1000.1, 1000.9, 1001.0, 1001.0, 1001.5, 1002.1, 1002.1))
    watched = certificate.Certificate(tls_settings(papers), clock=lambda: next(clock))
    shown = {watched.context()}
    papers.issue()
    shown.add(watched.context())
    assert len(shown) == 1
    shown |= {watched.context(), watched.context()}
    assert len(shown) == 2
    papers.issue()
    shown.add(watched.context())
    assert len(shown) == 3


def test_a_key_with_a_passphrase_is_refused_and_asks_nobody(papers: Papers):
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(papers.key.read_bytes(), None)
    papers.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2")))
    with pytest.raises(OSError, match="has a passphrase"):
        certificate.load(tls_settings(papers))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda papers: papers.key.unlink(), r"^tls\.key cannot be read: No such file or directory$"),
        (lambda papers: papers.certificate.write_text("x"), r"^tls\.certificate and tls\.key are no certificate"),
        (
            lambda papers: papers.key.write_bytes(trustme.CA().issue_cert("x.example").private_key_pem.bytes()),
            r"^tls\.certificate and tls\.key do not belong together$",
        ),
    ],
)
async def test_no_certificate_to_begin_with_is_said_in_words(
    papers: Papers, harm: Callable[[Papers], None], words: str
):
    harm(papers)
    with pytest.raises(OSError, match=words):
        await Listening(papers.settings(), FakeHost("support")).open()
