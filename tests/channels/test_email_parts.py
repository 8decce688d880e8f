import pytest
from pydantic import ValidationError

from channels.email.settings import EmailSettings
from channels.email.smtp import replies
from channels.email.smtp.admission import Admission
from channels.email.smtp.hops import is_loop
from channels.email.smtp.mailboxes import Mailboxes, NotOurs
from channels.registry import readme

MAILBOXES = Mailboxes(["support@example.com", "hilfe@müller.example", "a+b@example.com"])


def settings(**changes: object) -> EmailSettings:
    return EmailSettings.model_validate({"type": "email", "recipients": ["support@example.com"], **changes})


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("support@example.com", "support@example.com"),
        ("SUPPORT@Example.COM", "support@example.com"),
        ("support@example.com.", "support@example.com"),
        ("Support+t.AbC1@example.com", "support+t.AbC1@example.com"),
        ("a+b@example.com", "a+b@example.com"),
        ("hilfe@MÜLLER.example", "hilfe@xn--mller-kva.example"),
        ("hilfe@xn--mller-kva.example", "hilfe@xn--mller-kva.example"),
        ("postmaster", "postmaster@example.com"),
        ("Postmaster", "postmaster@example.com"),
        ("POSTMASTER@Example.COM", "postmaster@example.com"),
        ("postmaster@müller.example", "postmaster@xn--mller-kva.example"),
        ("postmaster@other.example", NotOurs.DOMAIN),
        ("postmaster+x@example.com", NotOurs.MAILBOX),
        ("sales@example.com", NotOurs.MAILBOX),
        ("supporter@example.com", NotOurs.MAILBOX),
        ("a@example.com", NotOurs.MAILBOX),
        ("support@other.example", NotOurs.DOMAIN),
        ("support@mail.example.com", NotOurs.DOMAIN),
        ("support", NotOurs.DOMAIN),
        ("support@\udcff.example", NotOurs.DOMAIN),
    ],
)
def test_recipients(address: str, found: str | NotOurs):
    assert MAILBOXES.find(address) == found


def ours(address: str) -> bool:
    return isinstance(MAILBOXES.find(address), str)


WILD = Mailboxes(["*@example.com", "support-*@example.com", "support-kr@example.com", "*-team@müller.example"])


@pytest.mark.parametrize(
    ("address", "rank", "found"),
    [
        ("support-kr@example.com", (3, 0), "support-kr@example.com"),
        ("Support-KR+t.Ab@example.com", (2, 0), "support-kr+t.Ab@example.com"),
        ("support-jp@Example.com", (1, 9), "support-jp@example.com"),
        ("Support-jp+t.Ab@example.com", (1, 9), "support-jp+t.Ab@example.com"),
        ("support-@example.com", (1, 9), "support-@example.com"),
        ("Anything@example.com", (1, 1), "anything@example.com"),
        ("postmaster@example.com", (1, 1), "postmaster@example.com"),
        ("sales-team@xn--mller-kva.example", (1, 6), "sales-team@xn--mller-kva.example"),
        ("postmaster@müller.example", (0, 0), "postmaster@xn--mller-kva.example"),
    ],
)
def test_exact_beats_pattern_and_the_longest_pattern_beats_the_shorter(address: str, rank: object, found: str):
    assert WILD.ranked(address) == (rank, found)


@pytest.mark.parametrize(
    ("address", "why"),
    [("team@müller.example", NotOurs.MAILBOX), ("sales-team@other.example", NotOurs.DOMAIN)],
)
def test_a_wildcard_takes_no_more_than_it_says(address: str, why: NotOurs):
    assert WILD.find(address) is why


def test_the_ends_of_a_pattern_do_not_overlap():
    assert Mailboxes(["ab*bc@x.example"]).find("abc@x.example") is NotOurs.MAILBOX


def received(times: int) -> bytes:
    return b"Received: from a by b\r\n" * times + b"Subject: x\r\n\r\nReceived: in the body\r\n"


def test_fifty_hops_are_enough():
    assert not is_loop(received(50), ours)
    assert is_loop(received(51), ours)


@pytest.mark.parametrize(
    ("content", "loop"),
    [
        (b"Subject: x\r\nx-gateway-loop: support@example.com\r\n\r\n", True),
        (b"X-Gateway-Loop: <Support+t.1@Example.COM> \r\n\r\n", True),
        (b"X-Gateway-Loop:\r\n support@example.com\r\n\r\n", True),
        (b"X-Gateway-Loop: help@elsewhere.example\r\nX-Gateway-Loop: support@example.com\r\n\r\n", True),
        (b"X-Gateway-Loop: help@elsewhere.example\r\n\r\n", False),
        (b"X-Gateway-Loop: 1\r\n\r\n", False),
        (b"X-Gateway-Loop:\r\nSubject: support@example.com\r\n\r\n", False),
        (b"X-Gateway-Loop: \xff@example.com\r\n\r\n", False),
        (b"Subject: x\r\n\r\nX-Gateway-Loop: support@example.com\r\n", False),
        (b"", False),
    ],
)
def test_loop_mark_counts_in_the_header_and_with_an_address_of_ours(content: bytes, loop: bool):
    assert is_loop(content, ours) is loop


def admission(connections: int = 100, per_peer: int = 2) -> Admission:
    return Admission(connections=connections, per_peer=per_peer)


@pytest.mark.parametrize(
    "peers",
    [
        ["192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"],
        ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::"],
        ["fe80::1%eth0", "fe80::1", "fe80::2"],
    ],
)
def test_a_peer_has_its_share_of_connections(peers: list[str]):
    desk = admission()
    assert [desk.enter(peer) for peer in peers] == [True, True, False]
    assert desk.enter("198.51.100.1")
    desk.leave(peers[0])
    assert desk.enter(peers[2])


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_has_no_share_but_the_whole(peer: str):
    desk = admission(connections=5)
    assert [desk.enter(peer) for _ in range(6)] == [True] * 5 + [False]
    desk.leave(peer)
    assert desk.enter(peer)


def test_settings_need_nothing_but_recipients():
    made = settings()
    assert made.endpoint == ("127.0.0.1", 2525)
    assert made.where("http://gateway.example/channels/support") == "smtp://127.0.0.1:2525"


def test_recipients_are_lower_case():
    assert settings(recipients=["Support@Example.com"]).recipients == ("support@example.com",)


@pytest.mark.parametrize(
    ("listen", "endpoint"), [("[::1]:25", ("::1", 25)), ("0.0.0.0:0", ("0.0.0.0", 0)), ("mx:65535", ("mx", 65535))]
)
def test_listen(listen: str, endpoint: tuple[str, int]):
    assert settings(listen=listen).endpoint == endpoint


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("recipients", [], "at least 1"),
        ("recipients", ["support"], "must be a mail address"),
        ("recipients", ["a b@example.com"], "must be a mail address"),
        ("recipients", ["a@example.com", "A@example.com"], "twice"),
        ("recipients", ["a@example.com", "A@Example.COM."], "must be a mail address|twice"),
        ("listen", "2525", "must be host:port"),
        ("listen", ":2525", "must be host:port"),
        ("listen", "::1:2525", "must be host:port"),
        ("listen", "127.0.0.1:65536", "must be host:port"),
        ("hostname", "two words", "pattern"),
        ("max_size", 0, "greater than 0"),
        ("idle_timeout", "0s", "greater than"),
        ("max_recipients", 0, "greater than or equal to 1"),
        ("recipient", "x", "Extra inputs"),
    ],
)
def test_settings_say_what_is_wrong(key: str, value: object, message: str):
    with pytest.raises(ValidationError, match=message):
        settings(**{key: value})


def test_ids_of_many_inboxes_keep_to_the_length_of_a_line():
    reply = replies.accepted([f"{number:036}" for number in range(100)])
    assert len(reply) <= 510
    assert len(reply.split()) == 3 + 13


def all_replies() -> list[bytes]:
    return [value for name, value in vars(replies).items() if name.isupper() and isinstance(value, bytes)]


@pytest.mark.parametrize("reply", all_replies(), ids=lambda reply: reply.decode())
def test_every_reply_is_ascii_has_an_enhanced_code_of_its_class_and_is_documented(reply: bytes):
    assert reply.isascii()
    assert b"\n" not in reply
    if reply.startswith(b"354 "):
        return
    code, enhanced, _ = reply.decode().split(" ", 2)
    assert enhanced.split(".")[0] == code[0]
    assert f"`{code} {enhanced}`" in readme("email")
