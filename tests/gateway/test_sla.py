from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from gateway.tagging.calendars import BusinessHours
from gateway.tagging.sla import Asked, Promise, promise

AT = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERYBODY = Promise(name="everybody", calendar="kr", first_reply=24 * HOUR)


def asked(**other: object) -> Asked:
    known = {"channel": "email", "medium": "smtp", "inbox": "support", "brand": None, "tier": "free", "callback": False}
    return Asked(**(known | other))  # type: ignore[arg-type]


def when(name: str, first_reply: timedelta | None = HOUR, callback: timedelta | None = None, **fields: str) -> Promise:
    """A promise for what fits; several patterns of a field stand apart by a blank."""
    conditions = tuple((field, tuple(patterns.split())) for field, patterns in fields.items())
    return Promise(name=name, calendar="always", conditions=conditions, first_reply=first_reply, callback=callback)


def policy(question: Asked, *promises: Promise) -> str | None:
    made = promise(question, promises, AT)
    return made.policy if made else None


def test_the_first_that_fits_wins():
    premium, mail = when("premium", tier="premium"), when("mail", channel="email")
    assert policy(asked(tier="premium"), premium, mail, EVERYBODY) == "premium"
    assert policy(asked(tier="premium"), mail, premium, EVERYBODY) == "mail"
    assert policy(asked(channel="chat"), premium, mail, EVERYBODY) == "everybody"


def test_nothing_fits_and_nothing_is_promised():
    assert policy(asked()) is None
    assert policy(asked(), when("premium", tier="premium")) is None


@pytest.mark.parametrize("field", ["channel", "medium", "inbox", "brand", "tier"])
def test_every_field_can_be_asked_for(field):
    one = Promise(name="one", calendar="always", conditions=((field, ("this",)),), first_reply=HOUR)
    assert policy(asked(**{field: "this"}), one) == "one"
    assert policy(asked(**{field: "that"}), one) is None


@pytest.mark.parametrize(
    ("pattern", "inbox", "fits"),
    [
        ("billing-*", "billing-kr", True),
        ("*-kr", "billing-kr", True),
        ("billing-??", "billing-kr", True),
        ("billing-[kj]*", "billing-kr", True),
        ("*", "billing-kr", True),
        ("billing", "billing-kr", False),
        ("BILLING-KR", "billing-kr", False),
        ("support billing-*", "billing-kr", True),
        ("support billing-*", "support", True),
        ("support billing-*", "sales", False),
    ],
)
def test_a_pattern_is_of_the_whole_name_and_one_of_several_is_enough(pattern, inbox, fits):
    assert (policy(asked(inbox=inbox), when("one", inbox=pattern)) == "one") is fits


def test_all_conditions_must_fit():
    both = when("both", tier="premium", channel="email")
    assert policy(asked(tier="premium"), both) == "both"
    assert policy(asked(tier="premium", channel="chat"), both) is None
    assert policy(asked(tier="free"), both) is None


def test_without_a_brand_only_a_pattern_for_anything_fits():
    assert policy(asked(brand=None), when("any", brand="*")) == "any"
    assert policy(asked(brand=None), when("acme", brand="acme")) is None


def test_a_reply_is_due_that_long_after_we_received_it():
    made = promise(asked(), (EVERYBODY,), AT)
    assert made is not None
    assert (made.clock_start, made.first_reply_due_at) == (AT, datetime(2026, 11, 23, 5, 0, tzinfo=UTC))
    assert (made.calendar, made.callback_due_at, made.outside_hours) == ("kr", None, False)


def test_an_hour_is_an_hour_where_the_clocks_go_back():
    summer = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    made = promise(asked(), (when("one"),), summer)
    assert made is not None
    assert made.first_reply_due_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_promise_to_phone_is_for_those_who_asked_to_be_phoned():
    phoning = when("phoning", first_reply=None, callback=HOUR)
    assert policy(asked(callback=False), phoning, EVERYBODY) == "everybody"
    made = promise(asked(callback=True), (phoning, EVERYBODY), AT)
    assert made is not None
    assert (made.policy, made.callback_due_at, made.first_reply_due_at) == ("phoning", AT + HOUR, None)


def test_a_policy_of_both_promises_each_their_own():
    both = when("both", first_reply=4 * HOUR, callback=HOUR)
    phoned, written = (promise(asked(callback=callback), (both,), AT) for callback in (True, False))
    assert phoned is not None
    assert written is not None
    assert (phoned.callback_due_at, phoned.first_reply_due_at) == (AT + HOUR, AT + 4 * HOUR)
    assert (written.callback_due_at, written.first_reply_due_at) == (None, AT + 4 * HOUR)


def test_who_asks_to_be_phoned_where_only_replies_are_promised_is_promised_a_reply():
    made = promise(asked(callback=True), (EVERYBODY,), AT)
    assert made is not None
    assert (made.callback_due_at, made.first_reply_due_at) == (None, AT + 24 * HOUR)


def test_a_callback_is_due_from_the_window_it_was_asked_for():
    asked = Asked(channel="web_callback", medium="form", inbox="i", brand=None, tier="free", callback=True)
    hour = (Promise(name="p", calendar="always", callback=timedelta(hours=1)),)
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    for start, end, due in ((None, None, 13), (-2, None, 13), (3, None, 16), (-2, 0, 12), (3, 3.5, 15.5), (3, 9, 16)):
        window = tuple(None if hours is None else now + timedelta(hours=hours) for hours in (start, end))
        found = promise(asked, hour, now, (window[0], window[1]))
        assert found is not None
        assert found.callback_due_at == now + timedelta(hours=due - 12)


SEOUL = BusinessHours(ZoneInfo("Asia/Seoul"), [((540, 1080),)] * 5 + [(), ()])
"""Nine to six, from Monday to Friday: 00:00 to 09:00 in UTC."""


@pytest.mark.parametrize(
    ("received", "due", "outside"),
    [
        ("2026-11-20T00:00", "2026-11-20T04:00", False),
        ("2026-11-20T05:00", "2026-11-20T09:00", False),
        ("2026-11-20T08:00", "2026-11-23T03:00", False),
        ("2026-11-20T09:00", "2026-11-23T04:00", True),
        ("2026-11-21T05:00", "2026-11-23T04:00", True),
    ],
)
def test_targets_are_counted_in_open_hours_from_our_receipt(received, due, outside):
    one = Promise(name="one", calendar="kr", first_reply=4 * HOUR, callback=4 * HOUR, hours=SEOUL)
    at = datetime.fromisoformat(f"{received}+00:00")
    made = promise(asked(callback=True), (one,), at)
    assert made is not None
    expected = datetime.fromisoformat(f"{due}+00:00")
    assert (made.clock_start, made.first_reply_due_at, made.callback_due_at) == (at, expected, expected)
    assert made.outside_hours is outside


@pytest.mark.parametrize(
    ("start", "end", "due"),
    [
        ("2026-11-21T05:00", "2026-11-21T07:00", "2026-11-21T07:00"),  # on a Saturday: no later than they asked for
        ("2026-11-20T08:30", "2026-11-23T08:30", "2026-11-23T00:30"),
        ("2026-11-23T02:00", "2026-11-23T06:00", "2026-11-23T03:00"),
    ],
)
def test_a_callback_in_business_hours_counts_from_the_window_and_ends_with_it(start, end, due):
    one = Promise(name="one", calendar="kr", callback=HOUR, hours=SEOUL)
    window = (datetime.fromisoformat(f"{start}+00:00"), datetime.fromisoformat(f"{end}+00:00"))
    made = promise(asked(callback=True), (one,), datetime(2026, 11, 20, 1, tzinfo=UTC), window)
    assert made is not None
    assert made.callback_due_at == datetime.fromisoformat(f"{due}+00:00")
