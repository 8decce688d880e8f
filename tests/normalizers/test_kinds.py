"""What golden files cannot say about kinds of mail: what the envelope adds, and what is bounded."""

import struct
import sys

import icalendar
import pytest

from normalizers.email import MailPayload, normalize
from normalizers.mail import automatic, winmail
from normalizers.mail.headers import Headers
from normalizers.mail.spam import spam_of
from normalizers.message import Flags, Kind, Message

PERSON = b"From: Minsu Kim <minsu@acme.example>\r\nMessage-ID: <1@acme.example>\r\n"
DAEMON = b"From: MAILER-DAEMON@mx.acme.example\r\nMessage-ID: <b1@mx.acme.example>\r\nSubject: failure notice\r\n"
REPORT = (
    DAEMON + b"Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n\r\n"
    b"--B\r\n\r\nSorry.\r\n--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a.example\r\n\r\n"
)


def read(content: bytes, *, null_sender: bool = False, ours: tuple[str, ...] = ()) -> Message:
    payload = MailPayload(content=content, null_sender=null_sender, recipients=("support@example.com",), ours=ours)
    (message,) = normalize(payload)
    return message


def codes(message: Message) -> list[str]:
    return [warning.code for warning in message.warnings]


def reported(recipients: int) -> bytes:
    group = b"Final-Recipient: rfc822; u%d@acme.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
    return REPORT + b"".join(group % number for number in range(recipients)) + b"--B--\r\n"


class TestMachines:
    def test_an_empty_mail_from_is_a_machines(self) -> None:
        mail = PERSON + b"Subject: Hello\r\n\r\nhi"
        assert read(mail, null_sender=True).flags == Flags(auto_reply=True)
        assert read(mail).flags == Flags()

    def test_an_empty_mail_from_tells_a_bounce_of_a_server_with_a_name_of_its_own(self) -> None:
        mail = PERSON + b"Subject: Undeliverable: hello\r\n\r\n<jiwoo@acme.example>: 550 5.1.1 nobody of that name"
        message = read(mail, null_sender=True)
        assert (message.kind, message.flags.bounce) == (Kind.BOUNCE, "5.1.1")
        assert read(mail).kind is Kind.MESSAGE

    @pytest.mark.parametrize(
        "rest",
        [
            "Auto-Submitted: auto-replied\r\nSubject: Automatic reply: Delivery problem\r\n\r\nI am on leave.",
            "Subject: 반송 요청드립니다\r\n\r\n주문 550-1234 반송해 주세요. jiwoo@acme.example",
            "Subject: Parcel returned to sender\r\n\r\nOrder 550-1234, jiwoo@acme.example",
        ],
    )
    def test_an_empty_mail_from_makes_no_bounce_of_a_parcel_that_came_back(self, rest: str) -> None:
        assert read(PERSON + rest.encode(), null_sender=True).kind is Kind.MESSAGE

    def test_a_report_that_somebody_passes_on_is_none_however_little_they_want_answers(self) -> None:
        report = b"--B\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; a@acme.example\r\n--B--"
        mixed = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n\r\nwhy?\r\n" + report
        message = read(PERSON + b"X-Auto-Response-Suppress: All\r\nSubject: It came back\r\n" + mixed)
        assert (message.kind, message.text) == (Kind.MESSAGE, "why?")
        assert read(PERSON + b"Subject: It came back\r\n" + mixed, null_sender=True).kind is Kind.BOUNCE

    @pytest.mark.parametrize("name", automatic._ANSWERING)
    def test_every_header_of_an_answering_machine_counts_unless_it_says_no(self, name: str) -> None:
        assert automatic.is_automatic(header(name, b" somebody@acme.example"), False)
        assert not automatic.is_automatic(header(name, b" No"), False)


class TestSpam:
    @pytest.mark.parametrize(
        ("name", "yes", "no"),
        [
            ("X-Spam-Flag", b"YES", b"NO"),
            ("X-Spam-Status", b"Yes, hits=9", b"No, score=9"),
            ("X-Spam", b"Yes", b"no"),
            ("X-Spamd-Result", b"default: True [9.00 / 8.00]", b"default: False [9.00 / 15.00]"),
            ("X-Rspamd-Action", b"add header", b"no action"),
            ("X-SES-Spam-Verdict", b"FAIL", b"PASS"),
            ("X-MS-Exchange-Organization-SCL", b"5", b"4"),
            ("X-Forefront-Antispam-Report", b"CIP:192.0.2.1;SFV:SPM;", b"CIP:192.0.2.1;SFV:NSPM;SCL:-1"),
            ("X-Mailgun-SFlag", b"Yes", b"No"),
            ("X-Barracuda-Spam-Status", b"Yes, SCORE=9.00", b"No, SCORE=0.00"),
            ("X-Gm-Spam", b"1", b"0"),
        ],
    )
    def test_only_a_yes_counts(self, name: str, yes: bytes, no: bytes) -> None:
        found = spam_of(header(name, yes))
        assert found is not None
        assert found.header == name
        assert spam_of(header(name, no)) is None

    @pytest.mark.parametrize("score", [b"nan", b"none", b"9" * 400])
    def test_a_score_that_is_none_is_left_out(self, score: bytes) -> None:
        found = spam_of(header("X-Spam-Status", b"Yes, score=" + score))
        assert found is not None
        assert found.score is None


class TestReports:
    def test_of_many_recipients_the_first_hundred_are_told(self) -> None:
        message = read(reported(500))
        bounce = message.mail and message.mail.bounce
        assert bounce
        assert codes(message) == ["bounce_cut"]
        assert [one.recipient for one in bounce.recipients] == [f"u{number}@acme.example" for number in range(100)]

    def test_a_customer_cannot_be_taken_for_a_server_by_what_he_quotes(self) -> None:
        quoted = b"".join(b"> " + line + b"\r\n" for line in reported(1).splitlines())
        message = read(PERSON + b"Subject: Mail delivery failed\r\n\r\nWhat is this?\r\n\r\n" + quoted)
        assert (message.kind, message.flags) == (Kind.MESSAGE, Flags())

    def test_a_report_is_of_the_conversation_of_our_mail_whatever_it_claims_to_answer(self) -> None:
        returned = b"--B\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <ours@example.com>\r\n--B--\r\n"
        mail = (
            reported(1).replace(b"--B--\r\n", returned).replace(b"Subject", b"References: <other@x.example>\r\nSubject")
        )
        thread = read(mail).thread
        assert (thread.key, thread.parent, thread.is_reply) == ("<ours@example.com>", "<ours@example.com>", True)

    def test_a_detector_that_fails_finds_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: object) -> None:
            raise ValueError

        monkeypatch.setattr("flufl.bounce.all_failures", fail)
        message = read(DAEMON + b"\r\n<minsu@acme.example>:\r\n550 5.1.1 nobody\r\n")
        assert (message.kind, message.flags.bounce) == (Kind.BOUNCE, "5.1.1")

    @pytest.mark.parametrize("junk", [b"a@", b"x", b"<", b"550 5.1.1 a@b.kr\r\n", b"550 \n\n", b"message-id: <\r\n"])
    def test_what_a_detector_reads_is_short(self, junk: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[str] = []

        def watched(carrier: object) -> tuple[frozenset[bytes], frozenset[bytes]]:
            seen.append(carrier.get_payload())  # type: ignore[attr-defined]  # an email.message.Message
            return frozenset(), frozenset()

        monkeypatch.setattr("flufl.bounce.all_failures", watched)
        read(DAEMON + b"\r\n" + junk * (500_000 // len(junk)))
        (payload,) = seen
        assert len(payload) <= 64 * 1024
        assert max(map(len, payload.split("\n"))) <= 500


class TestWinmail:
    MAIL = (
        PERSON + b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Disposition: attachment\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\neJ8+IgEABpAIAAQAAAAAAAEAAQABB5AGAAgAAADkBAAAAAAAAOgAAQ==\r\n"
    )

    def test_without_the_library_it_stays_and_a_warning_names_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tnefparse", None)
        message = read(self.MAIL)
        assert [(one.name, one.omitted_reason) for one in message.attachments] == [("winmail.dat", None)]
        assert "tnefparse" in message.warnings[0].detail

    @pytest.mark.parametrize(
        "properties",
        [
            b"\xff\xff\xff\xff",
            b"\x01\0\0\0\x02\x10\x34\x12\xff\xff\xff\xff",
            b"\x01\0\0\0\x1e\0\x34\x12\xff\xff\xff\xff",
            b"\x01\0\0\0\x1e\0\x34\x12\x01\0\0\0\xff\xff\xff\x7f",
            b"\x01\0\0\0\x1e\0\x34\x92" + bytes(16) + b"\x01\0\0\0\xff\xff\xff\x7f",
            b"\x01\0\0\0\x99\0\x34\x12",
        ],
    )
    def test_forged_counts_never_reach_the_library(self, properties: bytes) -> None:
        size = len(properties).to_bytes(4, "little")
        forged = b"\x78\x9f\x3e\x22\x01\0\x01\x03\x90\x06\0" + size + properties + b"\0\0"
        with pytest.raises((ValueError, struct.error)):
            winmail._harmless(forged)

    def test_no_more_than_a_thousand_objects_are_read(self) -> None:
        objects = b"\x01\x04\x90\x06\0\x01\0\0\0x\0\0"
        assert winmail._harmless(b"\x78\x9f\x3e\x22\x01\0" + objects * 1000)
        with pytest.raises(ValueError, match="too many"):
            winmail._harmless(b"\x78\x9f\x3e\x22\x01\0" + objects * 1001)


class TestInvitations:
    CALENDAR = PERSON + b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VEVENT\r\nSUMMARY:Call\r\n"

    def test_a_crowd_is_counted(self) -> None:
        crowd = b"".join(b"ATTENDEE:mailto:u%d@acme.example\r\n" % number for number in range(60))
        message = read(self.CALENDAR + crowd + b"END:VEVENT\r\n")
        assert message.text.count("Who: ") == 51
        assert message.text.endswith("Who: and 10 more")

    def test_one_of_too_many_lines_is_not_read(self) -> None:
        message = read(self.CALENDAR + b"COMMENT:x\r\n" * 2000 + b"END:VEVENT\r\n")
        assert (message.text, len(message.attachments)) == ("", 1)

    def test_a_time_zone_is_not_counted_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        zone = b"BEGIN:VTIMEZONE\r\nTZID:X\r\nEND:VTIMEZONE\r\n"
        read_as: list[str] = []
        original = icalendar.Component.from_ical

        def watched(text: str) -> object:
            read_as.append(text)
            return original(text)

        monkeypatch.setattr(icalendar.Component, "from_ical", watched)
        content = self.CALENDAR.replace(b"BEGIN:VEVENT", zone + b"BEGIN:VEVENT")
        message = read(content + b"DTSTART;TZID=X:20261123T100000\r\nEND:VEVENT\r\n")
        assert message.text == "Invitation: Call\nWhen: 2026-11-23 10:00 (X)"
        assert "VTIMEZONE" not in read_as[0]


def header(name: str, value: bytes) -> Headers:
    headers = Headers()
    headers.add(name.lower(), b" " + value)
    return headers


def test_what_a_machine_sends_from_another_address_of_the_inbox_is_a_loop() -> None:
    mail = b"From: billing@example.com\r\nAuto-Submitted: auto-replied\r\nSubject: x\r\n\r\nhi"
    assert read(mail, ours=("support@example.com", "billing@example.com")).flags.loop
    assert not read(mail, ours=("support@example.com",)).flags.loop
