"""Reply tokens: minted, verified, rotated, and worth nothing in anybody else's hands."""

import re
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from pydantic import SecretStr, ValidationError

from channels.email import CHANNEL
from channels.email.arrival import Arrival
from channels.email.reception import Reception
from channels.email.reply_tokens import ReplyTokens, ReplyTokenSettings, reply_to
from channels.email.settings import EmailSettings
from channels.testing_host import FakeHost
from normalizers.email import MailPayload, normalize
from normalizers.mailed import Authentication, Dmarc
from normalizers.message import Address, Kind, Message, Proof, Requester, Thread

NEW, OLD = "the-newest-key-of-thirty-two-characters", "the-key-before-it-of-thirty-two-characters"
ID = "0b54cf0e-34a4-8c3f-9d1e-5a2f0c9d7e11"
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def tokens(*keys: str, inbox: str = "support") -> ReplyTokens:
    return ReplyTokens(ReplyTokenSettings(keys=tuple(map(SecretStr, keys or (NEW,)))), inbox)


def settings(**changes: Any) -> EmailSettings:
    basic = {"type": "email", "recipients": ["support@example.com", "billing@example.com", "*@shop.example"]}
    return EmailSettings.model_validate(basic | {"reply_tokens": {"keys": [NEW, OLD]}} | changes)


def message(*recipients: str, kind: Kind = Kind.MESSAGE) -> Message:
    return Message(
        medium="smtp",
        external_id="<1@a.example>",
        requester=Requester(),
        thread=Thread(key="<1@a.example>"),
        kind=kind,
        recipients=tuple(Address("email", one) for one in recipients),
    )


def test_a_token_brings_its_id_back():
    for id in (ID, *(str(uuid4()) for _ in range(100))):
        token = tokens().mint(id)
        assert re.fullmatch(r"[a-z2-7]{39}", token)
        assert tokens().read(token) == tokens().read(token.upper()) == tokens().read(token.title()) == id


def test_the_newest_key_mints_and_each_verifies():
    assert tokens(NEW, OLD).mint(ID) == tokens(NEW).mint(ID) != tokens(OLD).mint(ID)
    assert tokens(NEW, OLD).read(tokens(OLD).mint(ID)) == ID
    assert tokens(NEW).read(tokens(OLD).mint(ID)) is None


def test_another_inbox_is_foreign():
    assert tokens(inbox="billing").read(tokens(inbox="support").mint(ID)) is None


def test_every_character_counts():
    token = tokens().mint(ID)
    for at in range(len(token)):
        for other in ALPHABET:
            if other != token[at]:
                assert tokens().read(token[:at] + other + token[at + 1 :]) is None


@pytest.mark.parametrize("wrong", ["", "a", "x" * 39, "1" * 39, "ä" * 39, "=" * 39, " " * 39])
def test_nonsense_is_no_token(wrong: str):
    token = tokens().mint(ID)
    for given in (wrong, token[:-1], token + "a", token[1:], f" {token[:38]}"):
        assert tokens().read(given) is None


@pytest.mark.parametrize("keys", [[""], ["short"], ["x" * 31], ["x" + " " * 40], [NEW, ""]])
def test_keys_that_are_easily_guessed_are_refused(keys: list[str]):
    with pytest.raises(ValidationError, match="32 characters or more"):
        settings(reply_tokens={"keys": keys})


def test_no_room_for_a_token_is_said_in_words():
    long = "x" * 23 + "@example.com"
    with pytest.raises(ValidationError, match="at most 22 characters before the @"):
        settings(recipients=["*@shop.example", long])
    with pytest.raises(ValidationError, match="needs a recipient without"):
        settings(recipients=["*@shop.example"])
    assert settings(recipients=[long], reply_tokens={"keys": []})
    assert settings(recipients=["x" * 22 + "@example.com"])


@pytest.mark.parametrize(
    ("recipients", "home"),
    [
        (["billing@example.com"], "billing@example.com"),
        (["Billing+Tag@example.com", "support@example.com"], "billing@example.com"),
        (["hello@shop.example", "billing@example.com"], "billing@example.com"),
        (["hello@shop.example"], "support@example.com"),
        (["postmaster@example.com"], "support@example.com"),
        ([], "support@example.com"),
    ],
)
def test_an_answer_comes_back_to_the_mailbox_that_was_written_to(recipients: list[str], home: str):
    address = CHANNEL.reply_to(settings(), "support")(message(*recipients), ID)
    local, _, domain = home.partition("@")
    assert address == f"{local}+t.{tokens().mint(ID)}@{domain}"
    assert len(address.partition("@")[0]) <= 64


def test_only_messages_and_only_with_keys_have_such_an_address():
    make = CHANNEL.reply_to(settings(), "support")
    kinds = [kind for kind in Kind if make(message(kind=kind), ID) is not None]
    assert kinds == [Kind.MESSAGE]
    assert CHANNEL.reply_to(settings(reply_tokens={}), "support")(message(), ID) is None
    too_long = "x" * 30 + "@example.com"
    short = reply_to(ReplyTokenSettings(keys=(SecretStr(NEW),)), ["support@example.com", too_long], "support")
    assert (short(message(too_long), ID) or "").startswith("support+t.")


async def taken(
    recipient: str = "support@example.com", *, head: str = "", file: Path | None = None, **changes: Any
) -> MailPayload:
    host = FakeHost("support")
    reception = Reception(settings(**({"authentication": {"check": "off"}} | changes)), host)
    content = f"From: a@b.example\r\nMessage-ID: <2@b.example>\r\n{head}\r\nhello\r\n".encode()
    if file is not None:
        file.write_bytes(content)
    arrival = Arrival(
        medium="smtp", recipients=(recipient,), content=b"" if file else content, file=file, peer="127.0.0.1"
    )
    await reception.take(arrival)
    (payload,) = host.payloads
    assert isinstance(payload, MailPayload)
    return payload


def thread(payload: MailPayload) -> Thread:
    (found,) = normalize(payload)
    return found.thread


async def test_a_token_in_the_recipient_is_the_strongest_evidence():
    payload = await taken(f"support+t.{tokens().mint(ID)}@example.com", head="In-Reply-To: <x@foreign.example>\r\n")
    found = thread(payload)
    assert (found.answers, found.is_reply) == (ID, True)
    assert found.evidence == ("reply_token", "reference")
    (said,) = normalize(payload)
    assert [one.value for one in said.recipients] == list(payload.recipients)


async def test_capitals_do_not_matter():
    payload = await taken(f"support+T.{tokens().mint(ID).upper()}@example.com")
    assert (payload.answers, payload.tokens) == (ID, ("reply_token",))


@pytest.mark.parametrize(
    "head",
    [
        "In-Reply-To: <t.{}.1@example.com>\r\n",
        "in-reply-to:\r\n <t.{}@example.com>\r\n",
        "References: <a@b.example>\r\n\t<T.{}.x.y@example.com>\r\n <z@b.example>\r\n",
    ],
)
async def test_our_own_message_ids_carry_it_too(head: str, tmp_path: Path):
    token = tokens(OLD).mint(ID)
    for file in (None, tmp_path / "mail"):
        payload = await taken(head=head.format(token), file=file)
        assert (payload.answers, payload.tokens) == (ID, ("own_message_id",))
    assert thread(await taken(head=head.format(token))).evidence == ("own_message_id", "reference")


async def test_the_nearest_of_several_is_answered():
    other = str(uuid4())
    first, last = tokens().mint(other), tokens().mint(ID)
    payload = await taken(head=f"References: <t.{first}@example.com> <t.{last}@example.com>\r\n")
    assert payload.answers == ID
    payload = await taken(head=f"In-Reply-To: <t.{last}@e.com>\r\nReferences: <t.{last}@e.com> <t.{first}@e.com>\r\n")
    assert payload.answers == ID
    payload = await taken(f"support+t.{last}@example.com", head=f"In-Reply-To: <t.{first}@example.com>\r\n")
    assert (payload.answers, payload.tokens) == (ID, ("reply_token", "own_message_id"))


@pytest.mark.parametrize(
    "token",
    [
        tokens().mint(ID)[:-1],
        tokens().mint(ID)[:20],
        tokens().mint(ID)[::-1],
        tokens(inbox="billing").mint(ID),
        tokens("somebody else's key of thirty-two characters").mint(ID),
        "",
    ],
    ids=["truncated", "half", "tampered", "wrong-inbox", "foreign", "empty"],
)
async def test_an_invalid_token_is_evidence_and_nothing_else(token: str):
    payload = await taken(f"support+t.{token}@example.com")
    assert (payload.answers, payload.tokens) == (None, ("reply_token=invalid",))
    assert thread(payload).evidence == ("reply_token=invalid",)
    assert not thread(payload).is_reply


@pytest.mark.parametrize("recipient", ["support@example.com", "support+sale@example.com", "support+tt.x@example.com"])
async def test_ordinary_tags_are_no_tokens(recipient: str):
    payload = await taken(recipient)
    assert (payload.answers, payload.tokens) == (None, ())


async def test_a_forwarded_token_says_what_is_answered_and_not_who_answers():
    payload = await taken(f"support+t.{tokens().mint(ID)}@example.com")
    stranger = msgspec.structs.replace(payload, content=payload.content.replace(b"a@b.example", b"else@c.example"))
    (said,) = normalize(stranger)
    assert said.thread.answers == ID
    assert said.requester.addresses == (Address("email", "else@c.example"),)
    assert said.proof is Proof.CLAIMED


async def test_a_token_in_the_body_or_another_header_is_nothing():
    token = tokens().mint(ID)
    payload = await taken(head=f"X-Note: <t.{token}@example.com>\r\n\r\nIn-Reply-To: <t.{token}@example.com>\r\n")
    assert (payload.answers, payload.tokens) == (None, ())


async def test_without_keys_nothing_is_looked_for():
    payload = await taken(f"support+t.{tokens().mint(ID)}@example.com", reply_tokens={})
    assert (payload.answers, payload.tokens) == (None, ())


@pytest.mark.parametrize("before", [b"\r\n\r\n", b"From a@b.example Fri Nov 20 09:00:00 2026\r\n"])
def test_what_stands_before_the_header_hides_no_token(before: bytes):
    head = before + f"In-Reply-To: <t.{tokens().mint(ID)}@example.com>\r\n\r\nhello\r\n".encode()
    assert tokens().find(("support@example.com",), head) == (ID, ("own_message_id",))


async def test_a_flood_of_tokens_is_bounded(monkeypatch):
    tried: list[str] = []
    read = ReplyTokens.read

    def counted(self: ReplyTokens, token: str) -> str | None:
        tried.append(token)
        return read(self, token)

    monkeypatch.setattr(ReplyTokens, "read", counted)
    flood = "".join(f"<t.{'a' * 39}.{n}@x.example>\r\n " for n in range(2000))
    payload = await taken(head=f"References: {flood}<t.{tokens().mint(ID)}@example.com>\r\n")
    assert payload.answers == ID
    assert len(tried) <= 50


def proven(subject: str, result: str) -> Thread:
    found = Authentication(source="gateway", dmarc=Dmarc(result=result, domain="b.example"))  # type: ignore[arg-type]
    content = f"From: a@b.example\r\nMessage-ID: <2@b.example>\r\nSubject: {subject}\r\n\r\nhello\r\n".encode()
    return thread(MailPayload(content=content, authentication=found, mail_from="a@b.example"))


def test_a_reference_in_the_subject_counts_from_the_verified_only():
    assert proven("Re: [T-7K3M-9QXR] 결제", "pass").evidence == ("subject_reference=T-7K3M-9QXR",)
    assert proven("Re: [T-7K3M-9QXR] 결제", "none").evidence == ()
    assert proven("Re: T-7K3M-9QXR", "pass").evidence == ()
    many = " ".join(f"[T-AAAA-{n:04}]" for n in range(20))
    assert len(proven(many, "pass").evidence) == 5


async def test_a_long_message_id_that_a_program_encoded_is_read_all_the_same():
    answer = EmailMessage()
    answer["From"] = "minsu@acme.example"
    answer["References"] = f"<{'x' * 90}@acme.example> <t.{tokens().mint(ID)}.{uuid4().hex}@example.com>"
    content = answer.as_bytes(policy=SMTP)
    assert b"=?utf-8?q?" in content
    host = FakeHost("support")
    await Reception(settings(), host).take(Arrival(medium="smtp", content=content, recipients=("support@example.com",)))
    (payload,) = host.payloads
    assert (payload.answers, payload.tokens) == (ID, ("own_message_id",))
    assert thread(payload).key == f"<{'x' * 90}@acme.example>"
