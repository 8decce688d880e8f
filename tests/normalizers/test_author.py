"""The verdict on who wrote a mail, from what was found out and what its header says."""

import pytest

from normalizers.mail.author import authors, only_author, read_author, read_correspondents
from normalizers.mail.headers import read_headers
from normalizers.mailed import Authentication, Correspondent, Dkim, Dmarc, Spf
from normalizers.message import Proof
from normalizers.notes import Notes

ONE = "From: Minsu Kim <minsu@acme.example>\n"
TWO = "From: minsu@acme.example, vip@bank.example\n"

ALIGNED = Dkim(result="pass", domain="acme.example", selector="k1", aligned=True)
OTHER = Dkim(result="pass", domain="list.example", selector="l", aligned=False)
BROKEN = Dkim(result="fail", domain="acme.example", selector="k1", aligned=True)
SERVER = Spf(result="pass", domain="acme.example", aligned=True)


def headers(text):
    content = text.encode() + b"\nbody\n"
    found, _ = read_headers(content, 0, len(content), Notes())
    return found


def author(text, authentication=None, mail_from="", notes=None):
    return read_author(headers(text), mail_from, authentication, notes or Notes())


def of(*dkim, spf=None, dmarc=None, policy=None, source="gateway"):
    verdict = Dmarc(result=dmarc, domain="acme.example", policy=policy) if dmarc else None
    return Authentication(source=source, spf=spf, dkim=dkim, dmarc=verdict)


@pytest.mark.parametrize(
    ("authentication", "proof"),
    [
        (None, Proof.CLAIMED),
        (of(), Proof.CLAIMED),
        (of(ALIGNED), Proof.VERIFIED),
        (of(OTHER, BROKEN, ALIGNED), Proof.VERIFIED),
        (of(OTHER), Proof.CLAIMED),
        (of(BROKEN), Proof.CLAIMED),
        (of(spf=SERVER), Proof.VERIFIED),
        (of(spf=Spf(result="pass", domain="evil.example")), Proof.CLAIMED),
        (of(spf=Spf(result="softfail", domain="acme.example", aligned=True)), Proof.CLAIMED),
        (of(dmarc="pass"), Proof.VERIFIED),
        (of(ALIGNED, dmarc="none"), Proof.VERIFIED),
        (of(ALIGNED, dmarc="temperror"), Proof.VERIFIED),
        (of(dmarc="temperror", policy="reject"), Proof.CLAIMED),
        (of(ALIGNED, dmarc="fail", policy="none"), Proof.CLAIMED),
        (of(ALIGNED, dmarc="fail"), Proof.CLAIMED),
        (of(ALIGNED, dmarc="fail", policy="reject"), Proof.SUSPECT),
        (of(dmarc="fail", policy="quarantine"), Proof.SUSPECT),
        (of(dmarc="fail", policy="none"), Proof.CLAIMED),
    ],
)
def test_alignment_proves_and_a_published_policy_disproves(authentication, proof):
    assert author(ONE, authentication).proof is proof


@pytest.mark.parametrize(
    "text",
    [
        TWO,
        ONE + "From: vip@bank.example\n",
        "From: vip@bank.example <minsu@acme.example>\n",
        "From: <minsu@acme.example> <vip@bank.example>\n",
        "From: =?utf-8?q?vip=40bank.example?= <minsu@acme.example>\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_proved_by_nothing(text):
    assert author(text, of(ALIGNED, spf=SERVER, dmarc="pass")).proof is Proof.SUSPECT


def test_the_envelope_sender_who_stands_in_is_proved_by_nothing():
    found = author("To: a@b.example\n", of(ALIGNED, spf=SERVER), "<minsu@acme.example>")
    assert [one.value for one in found.requester.addresses] == ["minsu@acme.example"]
    assert found.proof is Proof.CLAIMED
    assert author("To: a@b.example\n", of(ALIGNED)).proof is Proof.ANONYMOUS


def test_the_evidence_is_told_in_words_that_stay():
    found = of(OTHER, ALIGNED, spf=SERVER, dmarc="pass", policy="reject", source="mx.example.com")
    assert author(ONE, found).evidence == (
        "dmarc=pass p=reject",
        "dkim=pass d=acme.example s=k1",
        "dkim=pass d=list.example s=l",
        "spf=pass d=acme.example",
        "checked_by=mx.example.com",
    )
    assert author(TWO, of(spf=Spf(result="none"))).evidence == ("from_mailboxes=2", "spf=none")


def test_evidence_is_bounded_and_no_place_to_write_into():
    strange = Dkim(result="pass", domain="a b\n<script>" + "x" * 900, selector='"; dmarc=pass')
    found = author(ONE, of(*[strange] * 50, source="x y" * 500))
    assert len(found.evidence) == 6
    assert all(len(line) < 600 and "<" not in line and '"' not in line for line in found.evidence)
    assert not any("dmarc=pass" in line for line in found.evidence)


@pytest.mark.parametrize(
    ("reply_to", "differs"),
    [
        ("", False),
        ("Reply-To: MINSU@acme.example\n", False),
        ("Reply-To: Help <help@evil.example>\n", True),
        ("Reply-To: minsu@acme.example, help@evil.example\n", True),
        ("Reply-To: nobody\n", False),
    ],
)
def test_answers_that_would_go_elsewhere_are_told_of(reply_to, differs):
    assert ("reply_to_differs" in author(ONE + reply_to).evidence) is differs
    assert "reply_to_differs" not in author(ONE + reply_to, of(ALIGNED)).evidence


def alone(given):
    return only_author(given, authors(given))


def test_only_one_mailbox_in_one_header_is_an_author():
    assert alone(headers(ONE)) == "minsu@acme.example"
    assert alone(headers("From: Kim, Minsu <minsu@acme.example>\n")) == "minsu@acme.example"
    for text in (TWO, ONE + ONE, ONE + "From: Minsu\n", "", "From: Minsu\n", "From: <a@b.example> <c@d.example>\n"):
        assert alone(headers(text)) is None


def test_whom_else_the_header_names_is_told_as_it_has_it():
    notes = Notes()
    found = read_correspondents(
        headers(
            ONE + "Sender: =?utf-8?b?67mE7ISc?= <desk@acme.example>\nReply-To: a@b.example, B <b@b.example>\n"
            "To: support@example.com\nTo: Team: x@y.example;\nCc: undisclosed-recipients:;\n"
        ),
        notes,
    )
    assert found.sender == Correspondent(address="desk@acme.example", name="비서")
    assert found.reply_to == (Correspondent(address="a@b.example"), Correspondent(address="b@b.example", name="B"))
    assert [one.address for one in found.to] == ["support@example.com", "x@y.example"]
    assert found.cc == ()
    assert not notes.warnings()


def test_of_a_crowd_the_first_hundred_are_kept_and_it_is_said():
    notes = Notes()
    crowd = ", ".join(f"a{n}@b.example" for n in range(300))
    found = read_correspondents(headers(f"{ONE}To: {crowd}\n"), notes)
    assert (len(found.to), found.to[99].address) == (100, "a99@b.example")
    assert [warning.code for warning in notes.warnings()] == ["correspondents_cut"]
    exactly = Notes()
    hundred = ", ".join(f"a{n}@b.example" for n in range(100))
    assert len(read_correspondents(headers(f"{ONE}To: {hundred}\n"), exactly).to) == 100
    assert not exactly.warnings()


def test_a_crowd_in_to_casts_no_doubt_on_the_author():
    notes = Notes()
    text = ONE + "Reply-To: " + ", ".join(f"a{n}@b.example" for n in range(300)) + "\n"
    assert author(text, of(ALIGNED), notes=notes).proof is Proof.VERIFIED
    read_correspondents(headers(text), notes)
    assert "from_cut" not in notes
