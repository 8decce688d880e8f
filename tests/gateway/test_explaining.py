"""Why a message is tagged as it is: the story is the one that `seal` acts on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as pace
from hypothesis import strategies as st

from gateway.directory.lookup import UNKNOWN, Customer, Lookup
from gateway.envelope import EnvelopeAttachment, decode
from gateway.explaining import Unexplained, explaining
from gateway.explaining.again import as_kept, message_of
from gateway.inboxes import Tagging
from gateway.sealing import facts, seal
from gateway.settings import Settings, load
from gateway.settings.compiled import calendars, compiled_rules
from gateway.tagging.conditions import Facts
from gateway.tagging.rules import added, why
from gateway.tagging.sla import Asked, Promise, promise
from gateway.tagging.tier import Ground, TierPolicy, decide
from normalizers.message import Address, Callback, Flags, Kind, Message, Proof, Requester, Thread

AT = datetime(2026, 11, 20, 3, tzinfo=UTC)
"""Friday noon in Seoul."""
CONFIG = """\
    directory:
      - {type: file, name: crm, path: %(folder)s/crm.csv}
      - {type: file, path: %(folder)s/customers.yaml}
    rules:
      - {when: {to: "billing@*"}, then: {tags: [billing], priority: high}}
      - {when: {tier: premium, closed: kr}, then: {tags: [on_call]}}
      - {then: {brand: acme}}
      - {when: {brand: acme, flags: {list: true}}, then: {tags: [listed]}}
    sla:
      calendars:
        kr: {timezone: Asia/Seoul, hours: {mon-fri: "09:00-18:00"}}
      policies:
        - {name: callback, callback: 60m, calendar: kr}
        - {name: premium, when: {tier: premium}, first_reply: 1h, calendar: kr}
        - {name: everybody, first_reply: 8h, calendar: kr}
    queue: {partitions: 4}
    channels:
      support: {type: email, brand: example, recipients: [support@example.com, billing@example.com]}
    """


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    crm = "customer_id,tier,email,domain\nC-1,premium,minsu@acme.example,\nC-2,free,both@x.example,\n"
    (tmp_path / "crm.csv").write_text(f"{crm}C-3,free,both@x.example,\n", encoding="utf-8")
    listed = (
        "customers:\n- customer_id: C-9\n  tier: business\n  emails: [jane@late.example]\n  domains: [late.example]\n"
    )
    (tmp_path / "customers.yaml").write_text(listed, encoding="utf-8")
    file = tmp_path / "gateway.yaml"
    file.write_text(dedent(CONFIG) % {"folder": tmp_path}, encoding="utf-8")
    return load(file, environ={})


def message(sender: str = "minsu@acme.example", **other: Any) -> Message:
    known: dict[str, Any] = {
        "medium": "smtp",
        "external_id": "<1@acme.example>",
        "identity": "<1@acme.example> digest:of it",
        "requester": Requester(addresses=(Address("email", sender),), name="Minsu"),
        "thread": Thread(key="<1@acme.example>"),
        "proof": Proof.CLAIMED,
        "recipients": (Address("email", "billing@example.com"),),
        "text": "카드가 두 번 결제되었어요.",
    }
    return Message(**(known | other))


async def explained(settings: Settings, said: Message | None = None) -> Any:
    async with explaining(settings) as explainer:
        return await explainer.message("support", said or message(), AT, "the channel")


async def test_the_row_is_named_by_its_file_and_line(settings, tmp_path):
    (heard,) = (await explained(settings)).heard
    assert (heard.source, heard.lookup.status, heard.places) == ("crm", "known", (f"{tmp_path}/crm.csv:2",))
    both = await explained(settings, message("both@x.example"))
    assert both.heard[0].places == (f"{tmp_path}/crm.csv:3", f"{tmp_path}/crm.csv:4")
    assert (both.heard[0].lookup.status, both.decision.ground) == ("ambiguous", Ground.NOBODY)


async def test_every_source_that_was_asked_has_its_say(settings, tmp_path):
    found = await explained(settings, message("other@late.example"))
    assert [(one.source, one.lookup.status) for one in found.heard] == [("crm", "unknown"), ("file", "known")]
    assert found.heard[1].places == (f"{tmp_path}/customers.yaml:2",)
    assert found.lookup.matched == Address("domain", "late.example")
    assert found.asked_for == (Address("email", "other@late.example"), Address("domain", "late.example"))


async def test_each_rule_says_what_it_adds_or_where_it_does_not_fit(settings):
    place = settings.source.file
    rules = (await explained(settings)).rules
    assert [(one.name, one.refused, one.adds) for one in rules] == [
        ("1", None, ("tags billing", "priority high")),
        ("2", "closed: kr", ()),
        ("3", None, ("brand acme",)),
        ("4", "flags.list: true", ()),
    ]
    lines = dedent(CONFIG).splitlines()
    for one in rules:
        file, _, line = one.place.rpartition(":")
        assert file == place
        assert "then" in lines[int(line) - 1]


async def test_policies_are_told_up_to_the_one_that_fits(settings):
    first, second = (await explained(settings)).policies
    assert (first.name, first.refused) == ("callback", "it promises callbacks alone")
    assert (second.name, second.refused, second.adds) == ("premium", None, ("first_reply within 1:00:00",))
    stranger = await explained(settings, message("nobody@nowhere.example"))
    assert [one.refused for one in stranger.policies] == ["it promises callbacks alone", "tier: premium", None]
    edit = await explained(settings, message(kind=Kind.EDIT))
    assert (edit.clock, edit.policies, edit.envelope.data.sla) == (False, (), None)


async def test_what_is_explained_is_what_is_sealed(settings):
    said = message()
    found = await explained(settings, said)
    inbox = Tagging(settings).inbox("support", "email", settings.channels["support"])
    sealed = seal(said, inbox, found.lookup, AT, (), None)
    assert sealed.envelope == found.envelope
    assert found.conversation == sealed.conversation == "support:<1@acme.example>"
    assert (found.decision.value, found.needed, found.decision.unproven) == ("premium", Proof.CLAIMED, True)
    assert 0 <= found.partition < 4


@pytest.mark.parametrize("kind", [Kind.MESSAGE, Kind.EDIT, Kind.CALLBACK, Kind.CALL, Kind.OPT_OUT])
async def test_an_envelope_is_explained_as_the_message_it_was(settings, kind):
    callback = Callback(phone="+821012345678", phone_raw="010-1234-5678") if kind is Kind.CALLBACK else None
    update = kind is Kind.CALL
    submitter = Requester(name="Jane", addresses=(Address("email", "jane@example.com"),))
    said = message(kind=kind, callback=callback, update=update, submitter=submitter, flags=Flags(list=True))
    envelope = (await explained(settings, said)).envelope
    async with explaining(settings) as explainer:
        again = await explainer.envelope(envelope)
    assert again.changed == ()
    one, other = msgspec.structs.asdict(again.envelope.data), msgspec.structs.asdict(envelope.data)
    one.pop("tier"), other.pop("tier")  # read at another time
    assert one == other
    assert (again.envelope.id, again.envelope.type) == (envelope.id, envelope.type)
    assert message_of(envelope).identity == said.identity


async def test_what_would_be_different_now_is_said(settings, tmp_path):
    envelope = (await explained(settings)).envelope
    (tmp_path / "crm.csv").write_text("customer_id,tier,email\nC-1,free,minsu@acme.example\n", encoding="utf-8")
    async with explaining(settings) as explainer:
        changed = {one.field: (one.then, one.now) for one in (await explainer.envelope(envelope)).changed or ()}
    assert changed["tier.value"] == ("premium", "free")
    assert changed["sla.policy"] == ("premium", "everybody")
    assert set(changed) == {"tier.value", "tier.claimed", "tags", "sla.policy", "sla.first_reply_due_at"}


@pytest.mark.parametrize(
    ("inbox", "payload", "said"),
    [
        ("sales", b"{}", "there is no inbox named 'sales'; there are: support"),
        ("support", b"{}", "it is no payload of the channel email: Object missing required field `content`"),
        ("support", b'{"content":""}', "the channel email refuses it: payload: The mail is empty."),
    ],
)
async def test_what_cannot_be_explained_is_said(settings, inbox, payload, said):
    async with explaining(settings) as explainer:
        with pytest.raises(Unexplained, match=said.replace("(", r"\(")):
            await explainer.payload(inbox, payload, AT)


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "tier": st.sampled_from(["premium", "free", "*"]),
        "brand": st.sampled_from(["acme", "example", "ac*"]),
        "to": st.sampled_from(["billing@*", "sales@*", "billing@example.com"]),
        "text_contains": st.sampled_from(["결제", "refund"]),
        "text_regex": st.sampled_from(["두.번", "^x", r"\Qa", r"\Qb\E", "(?-i)A", "a|b", "$", r"\bzz\b"]),
        "flags": st.sampled_from([{"list": True}, {"list": False}]),
        "open": st.just("kr"),
    },
)
THEN = st.fixed_dictionaries({"tags": st.sampled_from([["a"], ["b"], ["a", "c"]])}, optional={"brand": st.just("acme")})
SLA = {"calendars": {"kr": {"timezone": "Asia/Seoul", "hours": {"mon-fri": "09:00-18:00"}}}}


def fact(said: Message) -> Facts:
    about: dict[str, Any] = {"channel": "email", "inbox": "support", "brand": "example", "tier": "premium"}
    return Facts(said, **about, language="ko", received_at=AT)


@given(st.lists(st.fixed_dictionaries({"when": CONDITIONS, "then": THEN}), max_size=8))
@pace(max_examples=150, deadline=None, derandomize=True)
def test_what_the_rules_say_and_what_they_do_is_one(rules):
    configured = Settings.model_validate({"rules": rules, "sla": SLA})
    by_name = calendars(configured.sla)
    compiled = compiled_rules(configured.rules, by_name)
    seen = fact(message())
    verdicts = why(compiled, seen)
    tags = dict.fromkeys(
        tag for rule, refused in zip(compiled, verdicts, strict=True) if refused is None for tag in rule.tags
    )
    result = added(compiled, fact(message()))
    assert (result.tags, result.brand) == (tuple(tags), seen.brand)
    for rule, refused in zip(compiled, verdicts, strict=True):
        assert refused is None or refused < len(rule.conditions)


@given(
    st.lists(
        st.sampled_from(["두.번", "^x", r"\Qa", r"\Qb\E", r"a\Q|b", "(?-i)A", "(?i)b|c", "$", r"\bz\b", "x+"]),
        max_size=6,
    ),
    st.text(alphabet="abczAx두 번|()?:\n", max_size=20),
)
@pace(max_examples=300, deadline=None, derandomize=True)
def test_expressions_find_the_same_together_and_alone(expressions, text):
    rules = [{"when": {"text_regex": one}, "then": {"tags": [f"t{number}"]}} for number, one in enumerate(expressions)]
    together = added(compiled_rules(Settings.model_validate({"rules": rules}).rules, {}), fact(message(text=text))).tags
    alone = [compiled_rules(Settings.model_validate({"rules": [rule]}).rules, {}) for rule in rules]
    assert together == tuple(tag for one in alone for tag in added(one, fact(message(text=text))).tags)


@given(
    st.sampled_from(["known", "unknown", "ambiguous", "stale", "failed"]),
    st.sampled_from(["premium", "free", "gone"]),
    st.sampled_from(list(Proof)),
    st.dictionaries(st.sampled_from(["premium", "free"]), st.sampled_from(list(Proof))),
)
def test_the_ground_of_a_tier_and_the_tier_are_one(status, tier, proof, minimum):
    customer = Customer(customer_id="C-1", tier=tier) if status in ("known", "stale") else None
    policy = TierPolicy(order=("premium", "free"), default="free", minimum_proof=minimum)
    made = decide(Lookup(status=status, customer=customer), proof, policy)
    given_it = made.ground in (Ground.KNOWN, Ground.STALE)
    assert made.value == (tier if given_it else "free")
    assert made.claimed == (tier if customer else None)
    if made.ground is Ground.CAPPED:
        assert not made.proof.reaches(policy.needs(tier))
    assert made.unproven == (made.value == "premium" and not made.proof.reaches(Proof.PLATFORM))
    assert (made.status == "failed") == (made.ground is Ground.AWAY) == (status == "failed")


@given(
    st.lists(st.tuples(st.sampled_from(["premium", "*", "free"]), st.booleans(), st.booleans()), max_size=5),
    st.booleans(),
)
def test_the_policy_that_fits_is_the_first_that_refuses_nothing(policies, callback):
    hour = timedelta(hours=1)
    promises = tuple(
        Promise(
            name=str(n),
            calendar="c",
            conditions=(("tier", (tier,)),),
            first_reply=hour if reply else None,
            callback=hour,
        )
        for n, (tier, reply, _) in enumerate(policies)
    )
    about = Asked(channel="email", medium="smtp", inbox="i", brand=None, tier="premium", callback=callback)
    fitting = [one.name for one in promises if one.refused(about) is None]
    made = promise(about, promises, AT)
    assert (made.policy if made else None) == (fitting[0] if fitting else None)


def test_rules_see_what_the_channel_and_the_directory_say(settings):
    inbox = Tagging(settings).inbox("support", "email", settings.channels["support"])
    assert seal(message(), inbox, UNKNOWN, AT, (), None).envelope.data.tags[-1] == "billing"
    assert facts(message(), inbox, "free", "ko", AT).to == ("billing@example.com",)


def test_an_envelope_keeps_what_nobody_decides_anew():
    bare = decode((Path(__file__).parent / "cases" / "envelope.json").read_bytes())
    file = EnvelopeAttachment(
        name="a.png", media_type="image/png", size=1, sha256="0", uri="file:///a", status="stored", inline_id=None,
        omitted_reason=None,
    )  # fmt: skip
    stored = msgspec.structs.replace(bare, data=msgspec.structs.replace(bare.data, attachments=(file,)))
    assert as_kept(bare, stored.data) == stored
