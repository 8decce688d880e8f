"""Rules: what they may ask, what they add, and which of them are mistakes."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as pace
from hypothesis import strategies as st

from gateway.settings import ConfigError, Settings, load
from gateway.settings.compiled import calendars, compiled_rules, promises
from gateway.settings.patterns import meet
from gateway.tagging.calendars import ALWAYS, BusinessHours
from gateway.tagging.conditions import Facts, contains, regex
from gateway.tagging.rules import Added, Rule, added
from gateway.tagging.sla import Asked, promise
from normalizers.message import Address, Flags, Message, Requester, Thread

NOON = datetime(2026, 11, 20, 3, tzinfo=UTC)
"""Friday noon in Seoul."""
FACTS: dict[str, Any] = {
    "channel": "email",
    "inbox": "support",
    "brand": "example",
    "tier": "premium",
    "language": "ko",
    "received_at": NOON,
}
SLA = {
    "calendars": {
        "kr": {"timezone": "Asia/Seoul", "hours": {"mon-fri": ["09:00-12:00", "13:00-18:00"]}},
        "day": {"timezone": "Asia/Seoul", "hours": {"mon-fri": "09:00-18:00"}},
    }
}


def message(**other: Any) -> Message:
    known: dict[str, Any] = {
        "medium": "smtp",
        "external_id": "1",
        "requester": Requester(addresses=(Address("email", "minsu@acme.example"),)),
        "thread": Thread(key="1"),
        "recipients": (Address("email", "billing@example.com"), Address("slack", "T1/U2")),
        "subject": "결제 오류: Order 4711",
        "text": "카드가 두 번 결제되었어요.\nPlease REFUND me.",
        "flags": Flags(auto_reply=True),
    }
    return Message(**(known | other))


def fits(when: dict[str, Any], said: Message | None = None, **facts: Any) -> bool:
    return bool(apply([{"when": when, "then": {"tags": ["fits"]}}], said, **facts).tags)


def apply(rules: list[dict[str, Any]], said: Message | None = None, **facts: Any) -> Added:
    settings = Settings.model_validate({"rules": rules, "sla": SLA})
    compiled = compiled_rules(settings.rules, calendars(settings.sla))
    return added(compiled, Facts(said or message(), **(FACTS | facts)))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"channel": "email"}, True),
        ({"channel": ["chat", "em*"]}, True),
        ({"channel": "EMAIL"}, False),
        ({"medium": "smtp"}, True),
        ({"inbox": "support-*"}, False),
        ({"brand": "example"}, True),
        ({"tier": ["business", "free"]}, False),
        ({"language": "ko"}, True),
        ({"language": ["en", "und"]}, False),
        ({"to": "billing@*"}, True),
        ({"to": "BILLING@Example.com"}, True),
        ({"to": "t1/u2"}, True),
        ({"to": "sales@*"}, False),
        ({"from": "*@acme.example"}, True),
        ({"from": "acme.example"}, False),
        ({"subject": "결제*"}, True),
        ({"subject": "*ORDER*"}, True),
        ({"subject": "결제"}, False),
        ({"subject_contains": "order 47"}, True),
        ({"subject_contains": "refund"}, False),
        ({"text_contains": ["환불", "refund"]}, True),
        ({"text_contains": "order"}, False),
        ({"text_contains": "*"}, False),
        ({"subject_regex": r"order\s+\d{4}$"}, True),
        ({"subject_regex": r"(?-i)order"}, False),
        ({"text_regex": ["^환불", r"두\s번"]}, True),
        ({"text_regex": "^Please"}, False),
        ({"text_regex": "(?m)^Please"}, True),
        ({"flags": {"auto_reply": True, "list": False}}, True),
        ({"flags": {"auto_reply": False}}, False),
        ({"flags": {"bounce": True}}, False),
        ({"open": "day"}, True),
        ({"closed": "day"}, False),
        ({"open": "kr"}, False),
        ({"closed": "kr", "open": "day"}, True),
        ({"channel": "email", "tier": "free"}, False),
    ],
    ids=str,
)
def test_what_a_rule_may_ask(when, expected):
    assert fits(when) is expected


def test_text_is_compared_as_it_is_composed():
    decomposed = "\u1112\u116a\u11ab\u1107\u116e\u11af"  # 환불, as some keyboards write it
    said = message(text="환불해 주세요", subject="환불")
    for when in ({"text_contains": decomposed}, {"text_regex": decomposed}, {"subject": f"{decomposed}*"}):
        assert fits(when, said)


def test_who_typed_it_is_a_sender_too():
    said = message(submitter=Requester(addresses=(Address("email", "staff@example.com"),)))
    assert fits({"from": "staff@*"}, said)
    assert fits({"from": "minsu@*"}, said)


def test_what_a_message_has_not_fits_only_a_pattern_for_anything():
    bare = message(subject=None, recipients=(), requester=Requester(), text="")
    assert not any(fits(when, bare) for when in ({"to": "*"}, {"from": "*"}, {"subject": "결제*"}))
    assert fits({"brand": "*"}, brand=None)
    assert not fits({"brand": "example"}, brand=None)
    assert not fits({"language": "ko"}, language=None)


def test_rules_add_up_from_first_to_last():
    result = apply(
        [
            {"when": {"to": "billing@*"}, "then": {"tags": ["billing", "money"], "priority": "high"}},
            {"when": {"tier": "free"}, "then": {"tags": ["never"], "priority": "low"}},
            {"when": {"language": "ko"}, "then": {"tags": ["money", "korean"]}},
        ]
    )
    assert result == Added(tags=("billing", "money", "korean"), priority="high", brand="example")


def test_the_last_one_has_the_say_and_sees_what_the_others_said():
    result = apply(
        [
            {"when": {"brand": "acme"}, "then": {"tags": ["too_early"]}},
            {"then": {"priority": "urgent", "brand": "acme"}},
            {"when": {"brand": "acme"}, "then": {"tags": ["acme"], "priority": "low"}},
        ]
    )
    assert result == Added(tags=("acme",), priority="low", brand="acme")


def test_without_rules_nothing_changes():
    assert apply([], brand=None) == Added(tags=(), priority="normal", brand=None)


def test_every_combination_of_rules_adds_what_each_adds():
    rules = [Rule(tags=(f"t{number}",)) for number in range(3)] + [Rule(conditions=(lambda facts: False,), tags=("x",))]
    assert added(rules, Facts(message(), **FACTS)).tags == ("t0", "t1", "t2")


@given(st.text(max_size=60), st.text(max_size=200))
@pace(max_examples=100, deadline=None, derandomize=True)
def test_no_expression_and_no_text_is_an_error_of_ours(expression, text):
    with suppress(ValueError):  # the only way to say no
        regex(expression).search(text.encode())


def test_a_bomb_of_an_expression_takes_linear_time():
    """Backtracking would take 2 to the power of 60,000 steps."""
    assert fits({"text_regex": r"^(a+)+$"}, message(text="a" * 60_000))
    assert not fits({"text_regex": r"^(a|aa)+$"}, message(text="a" * 60_000 + "b"))
    assert not fits({"text_regex": r"(x+x+)+y"}, message(text="x" * 60_000))


def test_rules_look_at_the_beginning_of_a_very_long_text():
    long = message(text="x" * 70_000 + " refund")
    assert not fits({"text_contains": "refund"}, long)
    assert not fits({"text_regex": "refund"}, long)


def test_lone_surrogates_are_only_strange_letters():
    assert fits({"text_regex": "refund"}, message(text="\ud800 refund"))
    assert contains("text", ["refund"])(Facts(message(text="\ud800 refund"), **FACTS))


def test_calendars_and_promises_are_those_of_the_settings():
    policies = [{"first_reply": "4h", "calendar": "day"}, {"first_reply": "1h", "calendar": "always"}]
    sla = {"calendars": {**SLA["calendars"], "always": {"timezone": "UTC"}}, "policies": policies}
    found = Settings.model_validate({"sla": sla}).sla
    by_name = calendars(found)
    assert by_name["always"] is ALWAYS
    asked = Asked(channel="email", medium="smtp", inbox="support", brand=None, tier="free", callback=False)
    friday_evening = NOON + timedelta(hours=8)
    made = promise(asked, promises(found, by_name), friday_evening)
    assert made is not None
    assert (made.policy, made.calendar, made.outside_hours) == ("policy-1", "day", True)
    assert made.first_reply_due_at == datetime(2026, 11, 23, 4, tzinfo=UTC)


def test_a_calendar_knows_its_holidays_and_days_of_its_own():
    dates = {"12-24": "closed", "2026-12-31": "09:00-13:00", "2027-01-01": "10:00-12:00"}
    one = {"timezone": "Asia/Seoul", "hours": {"mon-fri": "09:00-18:00"}, "holidays": "KR", "dates": dates}
    kr = calendars(Settings.model_validate({"sla": {"calendars": {"kr": one}}}).sla)["kr"]
    assert isinstance(kr, BusinessHours)

    def opens(text: str) -> bool:
        return kr.open_at(datetime.fromisoformat(f"{text}+09:00"))

    assert opens("2026-12-23T11:00")
    assert not opens("2026-12-24T11:00")
    assert not opens("2026-12-25T11:00")  # Christmas
    assert opens("2026-12-31T12:59")
    assert not opens("2026-12-31T13:00")
    assert opens("2027-01-01T11:00")  # New Year, and they come all the same
    assert not opens("2027-02-09T11:00")  # the day after Seollal, for the Sunday


def test_without_hours_a_calendar_closes_on_holidays_alone():
    one = {"timezone": "Asia/Seoul", "holidays": "KR"}
    kr = calendars(Settings.model_validate({"sla": {"calendars": {"kr": one}}}).sla)["kr"]
    assert kr.open_at(datetime(2026, 12, 24, 14, 59, tzinfo=UTC))
    assert not kr.open_at(datetime(2026, 12, 24, 15, tzinfo=UTC))


CONFIG = """\
    tiers: {order: [premium, free]}
    sla:
      calendars:
        kr: {timezone: Asia/Seoul, hours: {mon-fri: "09:00-18:00"}}
        rare: {timezone: UTC, hours: {mon: "00:00-00:01"}}
        always: {timezone: UTC}
      policies: [%(policies)s]
    rules: [%(rules)s]
    channels:
      contact: {type: web_form, brand: example}
      back: {type: web_callback}
      support: {type: email, recipients: [support@example.com]}
    """


def said(folder: Path, *, rules: str = "", policies: str = "") -> list[str]:
    """What is wrong, as `key: what`."""
    path = folder / "gateway.yaml"
    path.write_text(dedent(CONFIG) % {"rules": rules, "policies": policies}, encoding="utf-8")
    try:
        load(path, environ={})
    except ConfigError as error:
        return [str(one).split(": ", 1)[1] for one in error.errors]
    return []


@pytest.mark.parametrize(
    ("when", "wrong"),
    [
        ("tier: gold", "rules.0.when.tier: fits no tier that can be here; there are: premium, free"),
        ("tier: [free, gold]", "rules.0.when.tier.1: fits no tier"),
        ("channel: pigeon", "rules.0.when.channel: fits no channel that can be here; there are: api, chat, email"),
        ("channel: Email", "rules.0.when.channel: fits no channel"),
        ("channel: phone", "rules.0.when: can never match: no inbox has this channel"),
        ("inbox: suport", "rules.0.when.inbox: fits no inbox that can be here; there are: contact, back, support"),
        ("brand: acme", "rules.0.when.brand: fits no brand that can be here; there are: example"),
        ("inbox: contact, channel: email", "rules.0.when: can never match: no inbox has this channel and inbox"),
        ("brand: example, inbox: support", "rules.0.when: can never match: no inbox has this inbox and brand"),
        ("to: 'suport@*', channel: email", "rules.0.when.to: can never match: no such inbox takes mail for it"),
        ("open: us", "rules.0.when.open: is not a calendar; sla.calendars has kr, rare, always"),
        ("closed: always", "rules.0.when.closed: can never match: that calendar never closes"),
        ("open: kr, closed: kr", "rules.0.when.closed: can never match: open and closed name the same calendar"),
        ("medium: smtpp", "rules.0.when.medium: can never match: no such inbox has this medium; there are: form, imap"),
        ("medium: voice", "rules.0.when.medium: can never match: no such inbox has this medium"),
        ("channel: email, medium: form", "rules.0.when.medium: can never match: no such inbox has this medium"),
        ("flags: {list: true}, channel: web_form", "rules.0.when.flags.list: can never match: no such inbox raises"),
        ("flags: {list: true}, medium: form", "rules.0.when.flags.list: can never match: no such inbox raises"),
        (
            "flags: {bounce: true}, channel: web_form",
            "rules.0.when.flags.bounce: can never match: no such inbox raises this flag",
        ),
        ("subject: x, inbox: back", "rules.0.when.subject: can never match: nothing has a subject there"),
        ("subject_contains: x, inbox: back", "rules.0.when.subject_contains: can never match: nothing has a subject"),
        ("subjekt: x", "rules.0.when.subjekt: unknown key; did you mean 'subject'?"),
        ("flags: {}", "rules.0.when.flags: must name a flag: auto_reply, bounce, list, loop or spam"),
        ("flags: {auto: true}", "rules.0.when.flags.auto: unknown key"),
        ("language: korean", "rules.0.when.language: must be a language such as ko, en or und"),
        ("text_regex: '(a'", "rules.0.when.text_regex: is no regular expression of RE2: missing ): (a"),
        (r"text_regex: '(a)\1'", "rules.0.when.text_regex: is no regular expression of RE2: invalid escape"),
        ("text_regex: 'a{5000}'", "rules.0.when.text_regex: is no regular expression of RE2: invalid repetition"),
        ("text_regex: [a, '']", "rules.0.when.text_regex.1: must not be empty"),
        ("text_contains: []", "rules.0.when.text_contains: must not be empty"),
    ],
)
def test_a_rule_that_names_nothing_or_can_never_match_is_a_mistake(tmp_path, when, wrong):
    (found,) = said(tmp_path, rules=f"{{when: {{{when}}}, then: {{tags: [t]}}}}")
    assert found.startswith(wrong)


@pytest.mark.parametrize(
    ("to", "possible"),
    [
        ("support-kr@example.com", True),
        ("support-kr+x@example.com", True),
        ("*-kr@*", True),
        ("s?pport-[a-k]*@example.com", True),
        ("anything@example.net", True),
        ("postmaster@example.com", True),
        ("support@example.com", False),
        ("billing-*@example.com", False),
        ("*@example.org", False),
    ],
)
def test_a_rule_for_an_address_can_match_what_a_wildcard_takes(tmp_path, to, possible):
    text = CONFIG.replace("[support@example.com]", '["support-*@example.com", "*@example.net"]')
    rules = f"{{when: {{to: '{to}', channel: email}}, then: {{tags: [t]}}}}"
    path = tmp_path / "gateway.yaml"
    path.write_text(dedent(text) % {"rules": rules, "policies": ""}, encoding="utf-8")
    if possible:
        load(path, environ={})
    else:
        with pytest.raises(ConfigError, match="can never match: no such inbox takes mail for it"):
            load(path, environ={})


@pytest.mark.parametrize(
    ("pattern", "name", "possible"),
    [("*", "a*b", True), ("ab", "a*b", True), ("a", "a*b", False), ("a?c*", "*b", True), ("[!x]b", "a*", True),
     ("[", "[*", True), ("a*", "b*", False), ("*a", "*b", False), ("", "*", True)],
)  # fmt: skip
def test_two_patterns_meet_where_some_text_fits_both(pattern, name, possible):
    assert meet(pattern, name) is possible


def test_an_expression_has_a_bounded_length(tmp_path):
    (found,) = said(tmp_path, rules=f"{{when: {{text_regex: {'a' * 1001}}}, then: {{tags: [t]}}}}")
    assert found == "rules.0.when.text_regex: must have at most 1000 characters"


@pytest.mark.parametrize(
    "when",
    [
        "tier: 'prem*'",
        "channel: [email, web_form], inbox: contact",
        "to: 'support@*', channel: email",
        "to: 'Support+vip@example.com', inbox: support",
        "to: 'anything@*'",
        "brand: '*', inbox: support",
        "medium: 's*'",
        "flags: {list: true}",
        "flags: {list: false}, channel: web_form",
        "subject_contains: x",
        "subject: '*', inbox: back",
        "subject_regex: '^$', inbox: back",
        "open: kr, closed: rare",
    ],
)
def test_a_rule_that_may_match_is_taken(tmp_path, when):
    assert said(tmp_path, rules=f"{{when: {{{when}}}, then: {{tags: [t]}}}}") == []


def test_a_brand_that_an_earlier_rule_gives_is_known_to_later_ones(tmp_path):
    gives, asks = "{then: {brand: acme}}", "{when: {brand: acme}, then: {tags: [t]}}"
    assert said(tmp_path, rules=f"{gives}, {asks}") == []
    assert [one.partition(":")[0] for one in said(tmp_path, rules=f"{asks}, {gives}")] == ["rules.0.when.brand"]
    assert said(tmp_path, rules=gives, policies="{when: {brand: acme}, first_reply: 1h, calendar: kr}") == []


@pytest.mark.parametrize(
    ("then", "wrong"),
    [
        ("tags: []", "rules.0.then: must add tags, a priority or a brand"),
        ("tags: [tier_premium]", "rules.0.then.tags.0: must not begin with channel_, medium_, tier_, brand_, inbox_"),
        ("tags: [Ünicode]", "rules.0.then.tags.0: must be a-z, 0-9 and _, at most 60"),
        ("priority: highest", "rules.0.then.priority: must be 'low', 'normal', 'high' or 'urgent'"),
        ("brand: A B", "rules.0.then.brand: must be a-z, 0-9 and _, at most 40"),
    ],
)
def test_what_a_rule_adds_is_checked(tmp_path, then, wrong):
    (found,) = said(tmp_path, rules=f"{{then: {{{then}}}}}")
    assert found.startswith(wrong)


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        ("when: {tier: gold}, first_reply: 1h, calendar: kr", "sla.policies.0.when.tier: fits no tier"),
        ("when: {inbox: nope}, first_reply: 1h, calendar: kr", "sla.policies.0.when.inbox: fits no inbox"),
        ("when: {channel: pigeon}, first_reply: 1h, calendar: kr", "sla.policies.0.when.channel: fits no channel"),
        (
            "when: {channel: email, inbox: contact}, first_reply: 1h, calendar: kr",
            "sla.policies.0.when: can never match: no inbox has this channel and inbox",
        ),
        (
            "first_reply: 54m, calendar: rare",
            "sla.policies.0.first_reply: is more than the calendar rare is open in a whole year",
        ),
        ("when: {medium: smtpp}, first_reply: 1h, calendar: kr", "sla.policies.0.when.medium: can never match"),
        (
            "when: {channel: web_form, medium: smtp}, first_reply: 1h, calendar: kr",
            "sla.policies.0.when.medium: can never match: no such inbox has this medium; there are: form",
        ),
        ("callback: 200d, calendar: kr", "sla.policies.0.callback: is more than the calendar kr is open"),
        ("first_reply: 367d, calendar: always", "sla.policies.0.first_reply: must be at most 366 days"),
    ],
)
def test_a_policy_that_can_never_be_is_a_mistake_too(tmp_path, policy, wrong):
    (found,) = said(tmp_path, policies=f"{{{policy}}}")
    assert found.startswith(wrong)


def test_a_channel_that_does_not_say_what_its_messages_are_is_not_checked(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "rules: [{when: {medium: pigeon, flags: {loop: true}}, then: {tags: [t]}}]\nchannels: {in: {type: webhook}}\n"
    )
    assert [one.medium for one in [rule.when for rule in load(path, environ={}).rules]] == [("pigeon",)]


def test_a_policy_may_wait_for_an_inbox_of_its_channel(tmp_path):
    assert said(tmp_path, policies="{when: {medium: voice}, first_reply: 52m, calendar: rare}") == []
    assert said(tmp_path, policies="{when: {channel: phone}, first_reply: 52m, calendar: rare}") == []


def test_a_rule_is_not_blamed_for_an_inbox_that_is_wrong_itself(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "rules: [{when: {inbox: front}, then: {tags: [t]}}]\nchannels: {front: {type: web_form, lang: ko}}\n", "utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    assert [error.key for error in caught.value.errors] == ["channels.front.lang"]


@pytest.mark.parametrize(
    ("calendar", "wrong"),
    [
        ("hours: {}", "sla.calendars.x: is never open"),
        ("hours: {}, dates: {12-24: closed}", "sla.calendars.x: is never open"),
        ("hours: {}, dates: {2020-12-24: '09:00-18:00'}", "sla.calendars.x: is not open for a moment in the coming"),
        ("hours: {mon-fri: '09:00-18:00', fri: '09:00-15:00'}", "sla.calendars.x.hours.fri: fri stands twice"),
        ("hours: {mon: ['09:00-12:00', '11:00-13:00']}", "sla.calendars.x.hours.mon: has opening hours that overlap"),
        ("hours: {mon: '09:00-09:00'}", "sla.calendars.x.hours.mon: must be opening hours such as"),
        ("hours: {mon: closed}", "sla.calendars.x.hours.mon: must be opening hours such as"),
        ("holidays: ZZ", "sla.calendars.x.holidays: is no country"),
        ("holidays: DE-QQ", "sla.calendars.x.holidays: is no country, or part of one"),
        ("dates: {02-30: closed}", "sla.calendars.x.dates.02-30: must be a date such as 2026-12-24"),
        ("dates: {12-24: shut}", "sla.calendars.x.dates.12-24: must be opening hours such as"),
    ],
)
def test_a_calendar_is_checked(tmp_path, calendar, wrong):
    path = tmp_path / "gateway.yaml"
    path.write_text(f"sla: {{calendars: {{x: {{timezone: UTC, {calendar}}}}}}}\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    (found,) = (str(one).split(": ", 1)[1] for one in caught.value.errors)
    assert found.startswith(wrong)


def test_the_examples_of_the_documents_are_right(tmp_path):
    document = (Path(__file__).parents[2] / "docs" / "rules-and-sla.md").read_text(encoding="utf-8")
    rules, sla, channels = re.findall(r"^```yaml\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    inboxes = re.sub(r"(?m)^(\s+)#(max_age|leeway)", r"\1\2", channels)
    mail = "  support: {type: email, recipients: [support@example.com, billing@example.com]}\n"
    path = tmp_path / "gateway.yaml"
    path.write_text(f"{rules}{sla}{inboxes}{mail}", encoding="utf-8")
    found = load(path, environ={"SITE_IDENTITY_SECRET": "x" * 32})
    assert (len(found.rules), len(found.sla.policies), len(found.channels)) == (7, 3, 2)
